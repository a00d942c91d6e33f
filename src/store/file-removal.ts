/**
 * Removing files of the file store. Synchronous calls, as in the listing: through the thread pool a million of them
 * take several times as long. When it returns, the removal is durable: a sentinel that is gone does not come back
 * after its parts went.
 */
import { unlinkSync } from 'node:fs';
import type { Key } from '../archive/layout.ts';
import { isErrno } from '../errno.ts';
import { fileError } from './file-error.ts';
import { removeEmptyFolders, syncFolder } from './file-folders.ts';
import * as fs from './file-system.ts';
import type { RemoveFailure } from './store.ts';

/** At most some thousand `keys`: meanwhile nothing else runs. `pathOf` refuses keys that would leave `base`. */
export async function removeFiles(
  base: string,
  keys: readonly Key[],
  pathOf: (key: string) => string,
): Promise<RemoveFailure[]> {
  const failures: RemoveFailure[] = [];
  const folders = new Set<string>();
  await fs.untilAnswered(base || '/');
  for (const key of keys) {
    const path = pathOf(key);
    try {
      unlinkSync(path);
      folders.add(path.slice(0, path.lastIndexOf('/')));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) continue;
      failures.push({ key, reason: fileError('could not remove a file', path, error).detail ?? '' });
    }
  }
  for (const folder of folders) await syncIfThere(folder);
  await removeEmptyFolders(base, keys);
  return failures;
}

/** Another process may have removed the last file of the folder, and the folder with it. */
async function syncIfThere(folder: string): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw fileError('could not sync a folder', folder, error);
  }
}
