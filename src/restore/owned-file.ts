/** Files that the restore adds to a data directory: durable, private, and its owner's. */
import { chown, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../tar/folders.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Whom a data directory belongs to, so that what is added can be given to the same; undefined unless run by root. */
export async function ownerOf(directory: string): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await lstat(directory);
  return { uid, gid };
}

export async function replaceFile(path: string, text: string, owner: Owner | undefined): Promise<void> {
  const temporary = `${path}.wal-e-new`;
  // The archive decides what lies there, and a symbolic link would lead out of the directory.
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(text);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

export async function giveTo(path: string | Buffer, owner: Owner | undefined): Promise<void> {
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}
