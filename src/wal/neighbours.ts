/** The named segment with its neighbours, and what is done about those once they are archived. */
import { dirname } from 'node:path';
import { UserError } from '../errors.ts';
import { markDone } from '../postgres/archive-status.ts';
import { otherArchiveWork } from '../postgres/archiver-process.ts';
import { pushPool } from './pool.ts';
import type { PushContext } from './push.ts';
import { writeNote } from './pushed-notes.ts';
import type { WalFile } from './wal-file.ts';

export interface NeighbourPolicy {
  /** `.ready` becomes `.done`: always, never, or (undefined) where this process is proven to be all of archive_command. */
  readonly markDone: boolean | undefined;
  /** PATH. */
  readonly searchPath: string | undefined;
}

export async function pushWithNeighbours(
  named: WalFile,
  neighbours: readonly WalFile[],
  context: PushContext,
  policy: NeighbourPolicy,
): Promise<void> {
  const { log } = context;
  let mark: boolean | undefined = policy.markDone;
  await pushPool(named, neighbours, context, {
    pushed(neighbour) {
      mark ??= otherArchiveWork({ name: named.name, searchPath: policy.searchPath }) === undefined;
      if (mark) markDone(dirname(neighbour.path), neighbour.name);
      else writeNote(neighbour, context.archive);
    },
    failed(neighbour, error) {
      const { message, detail, hint } = error instanceof UserError ? error : { message: String(error) };
      log.warning('a neighbour was not archived', {
        detail: `${neighbour.name}: ${[message, detail].filter(Boolean).join(': ')}`,
        hint,
      });
    },
  });
}
