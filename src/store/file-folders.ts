/** The folders of the file store: made on demand, durable, and gone when they are empty. */
import { constants } from 'node:fs';
import { isErrno } from '../errno.ts';
import * as fs from './file-system.ts';

/** File systems write what is new to the disk after 5 to 30 s, also when nobody asks for it. */
const YOUNG_MS = 60_000;

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
    await syncFolder(parentOf(path));
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

/**
 * What is in the folder is durable, and so is the way to it: a folder that is there may have been made a moment ago by
 * another process, which has not synced the one above it yet, or was killed before it did.
 */
export async function syncFolders(folder: string): Promise<void> {
  let path = folder;
  while ((await syncFolder(path)) && path !== '/') {
    path = parentOf(path);
    if (!(await isReadable(path))) return;
  }
}

/** Whose parent we may not read, we have not made. */
async function isReadable(folder: string): Promise<boolean> {
  return fs.access(folder, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Returns whether the folder is so young that its own entry may not be on disk yet. */
export async function syncFolder(folder: string): Promise<boolean> {
  const handle = await fs.open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const [{ birthtimeMs, ctimeMs }] = await Promise.all([handle.stat(), handle.sync()]);
    // Not every file system knows when a file was made; it cannot have been after its last change.
    return Date.now() - (birthtimeMs > 0 ? birthtimeMs : ctimeMs) < YOUNG_MS;
  } finally {
    await handle.close();
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/**
 * Those on the way to a key, or to the folder that a prefix ends with; they need not be there. Clients of NFS remember for a
 * minute which names were not there, until somebody opens the folder that they are in.
 */
export async function openFolders(base: string, key: string): Promise<void> {
  await fs.untilAnswered(`${base}/`);
  for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1))
    await fs.untilAnswered(`${base}/${key.slice(0, slash)}`);
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
