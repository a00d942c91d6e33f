/** WAL that lies in the target already (--force): whether it is wanted, only the operator knows. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { walFileKind } from '../postgres/segment.ts';
import { ifThere } from './if-there.ts';
import { WAL_FOLDERS } from './members.ts';

/** The restore removes nothing that is not in the backup, and PostgreSQL replays what it finds there after the archive's. */
export async function warnOfOldWal(directory: string, log: Log): Promise<void> {
  for (const folder of WAL_FOLDERS) {
    const path = join(directory, folder);
    const names = (await ifThere(() => readdir(path))) ?? [];
    const segments = names.filter((name) => walFileKind(name) === 'segment').sort();
    if (segments.length === 0) continue;
    log.warning('WAL of another time lies in the target', {
      detail: `"${path}" holds ${segments.length} segments, ${segments[0]} to ${segments.at(-1)}.`,
      hint: 'PostgreSQL replays it where the archive has no more. Remove it unless that is wanted.',
    });
  }
}
