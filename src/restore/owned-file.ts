/** Files that the restore adds to a data directory: durable, private, and its owner's. */
import { chown, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '../tar/folders.ts';

/** Ends the names under which they are written. */
const UNFINISHED = '.wal-e-new';
/** All that are ever replaced, in the data directory itself. */
const REPLACED = [
  'tablespace_map',
  'recovery.conf',
  'postgresql.auto.conf',
  'recovery.signal',
  'standby.signal',
];

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
  const temporary = `${path}${UNFINISHED}`;
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

/** What a run left that was killed while it wrote: this one may be asked to write other files. */
export async function removeUnfinished(directory: string): Promise<void> {
  for (const name of REPLACED) await rm(join(directory, `${name}${UNFINISHED}`), { force: true });
}

export async function giveTo(path: string | Buffer, owner: Owner | undefined): Promise<void> {
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}
