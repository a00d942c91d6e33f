/** The folders of the file store: made on demand, durable, and gone when they are empty. */
import { constants } from 'node:fs';
import { isErrno } from './file-error.ts';
import * as fs from './file-system.ts';

/**
 * mkdir -p whose new entries are durable before anything in them is. Not Node's own recursive mkdir, which never ends
 * where the system answers "no such file" for a folder whose parent is there (/proc, some network file systems).
 */
export async function makeFolders(folder: string): Promise<void> {
  const missing: string[] = [];
  for (
    let path = folder;
    path !== '' && !(await isThere(path));
    path = path.slice(0, path.lastIndexOf('/'))
  ) {
    missing.push(path);
  }
  for (const path of missing.reverse()) {
    await fs.mkdir(path).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
    await syncFolder(path.slice(0, path.lastIndexOf('/')) || '/');
  }
}

async function isThere(path: string): Promise<boolean> {
  return fs.access(path).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    },
  );
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Folders that a removal left empty go too, up to but without the root. */
export async function removeEmptyFolders(base: string, keys: readonly string[]): Promise<void> {
  const folders = new Set(keys.map((key) => key.slice(0, Math.max(0, key.lastIndexOf('/')))));
  for (const first of folders) {
    for (let folder = first; folder !== ''; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
      const removed = await fs.rmdir(`${base}/${folder}`).then(
        () => true,
        () => false,
      );
      if (!removed) break;
    }
  }
}
