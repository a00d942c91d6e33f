/**
 * The first WAL file of an archive, from a server that counts others as archived. Where a file system is not mounted, its
 * empty folder looks like a new archive, and takes whatever is pushed until the disk below it is full.
 */
import { dirname } from 'node:path';
import type { Log } from '../log.ts';
import { doneFiles } from '../postgres/archive-status.ts';
import { type Store, urlOf } from '../store/store.ts';
import type { WalFile } from './wal-file.ts';

/** A word and no more: a new archive of an old server looks the same. */
export function warnOfNewArchive(file: WalFile, store: Store, log: Log): void {
  const done = known(dirname(file.path));
  const [first] = done;
  if (first === undefined) return;
  log.warning('the archive holds no WAL yet, though PostgreSQL counts other files as archived', {
    detail: `There is no "${urlOf(store, 'wal_005')}", and ${first}${done.length > 1 ? ` and ${done.length - 1} more` : ''} in "${dirname(file.path)}" need not be archived any more.`,
    hint: 'If the storage prefix has a file system of its own: is it mounted? If this is a new archive, make a base backup.',
  });
}

/** What cannot be read tells nothing, and must not hold up the segment. */
function known(walDirectory: string): readonly string[] {
  try {
    return doneFiles(walDirectory);
  } catch {
    return [];
  }
}
