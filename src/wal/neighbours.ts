/** The named segment with its neighbours, and what is done about those once they are archived. */
import { dirname } from 'node:path';
import { isStoreFull, UserError } from '../errors.ts';
import { markDone } from '../postgres/archive-status.ts';
import { otherArchiveWork } from '../postgres/archiver-process.ts';
import { type PoolOptions, pushPool } from './pool.ts';
import { type PushContext, pushWalFile } from './push.ts';
import { writeNote } from './pushed-notes.ts';
import type { WalFile } from './wal-file.ts';

export interface NeighbourPolicy {
  /** `.ready` becomes `.done`: always, never, or (undefined) where this process is proven to be all of archive_command. */
  readonly markDone: boolean | undefined;
  /** PATH. */
  readonly searchPath: string | undefined;
}

/** Resolves when `named` is durable; rejects with its failure, in a full store only after it was tried alone. */
export async function pushWithNeighbours(
  named: WalFile,
  neighbours: readonly WalFile[],
  context: PushContext,
  policy: NeighbourPolicy,
): Promise<void> {
  const { log, signal } = context;
  try {
    await pushPool(named, neighbours, context, marking(named, context, policy));
  } catch (error) {
    if (signal.aborted || !isStoreFull(error)) throw error;
    log.warning('the archive has no room for the segment and its neighbours', {
      detail: `${named.name} is tried once more, alone. ${error.detail ?? error.message}`,
      hint: error.hint,
    });
    await pushWalFile(named, context);
  }
}

function marking(named: WalFile, { log, archive }: PushContext, policy: NeighbourPolicy): PoolOptions {
  let mark: boolean | undefined = policy.markDone;
  return {
    pushed(neighbour) {
      mark ??= otherArchiveWork({ name: named.name, searchPath: policy.searchPath }) === undefined;
      try {
        if (mark) markDone(dirname(neighbour.path), neighbour.name);
        else writeNote(neighbour, archive);
      } catch (error) {
        log.warning('a neighbour was archived, and that could not be noted', {
          detail: `${neighbour.name}: ${String(error)}`,
          hint: 'When PostgreSQL asks for it, it is compared with the archive.',
        });
      }
    },
    failed(neighbour, error) {
      const { message, detail, hint } = error instanceof UserError ? error : { message: String(error) };
      log.warning('a neighbour was not archived', {
        detail: `${neighbour.name}: ${[message, detail].filter(Boolean).join(': ')}`,
        hint,
      });
    },
  };
}
