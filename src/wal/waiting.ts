/** The segments that wait beside the one that PostgreSQL asked for. */
import { dirname, join } from 'node:path';
import { UserError } from '../errors.ts';
import { readySegments } from '../postgres/archive-status.ts';
import { isNoted, sweepNotes } from './pushed-notes.ts';
import { statWalFile, type WalFile } from './wal-file.ts';

/** Up to `count` segments that wait and were not archived yet, oldest name first. Notes that nobody needs any more go. */
export function waitingNeighbours(named: WalFile, count: number, archive: string): WalFile[] {
  const folder = dirname(named.path);
  const ready = readySegments(folder);
  sweepNotes(folder, ready);
  const waiting: WalFile[] = [];
  for (const name of ready) {
    if (waiting.length >= count) break;
    const file = name === named.name ? undefined : statExisting(join(folder, name));
    if (file !== undefined && !isNoted(file, archive)) waiting.push(file);
  }
  return waiting;
}

/** A segment that vanished is not ours to complain about: PostgreSQL will ask for it. */
function statExisting(path: string): WalFile | undefined {
  try {
    return statWalFile(path);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
