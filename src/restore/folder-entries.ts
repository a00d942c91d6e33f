/** What is in a folder of the restore. */
import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { bytesOf } from '../byte-string.ts';
import { isErrno } from '../errno.ts';
import { ifThere } from './if-there.ts';

type Entry = Pick<Dirent<Buffer>, 'name'> & Pick<Stats, 'isDirectory' | 'isFile'>;

/**
 * `folder` is a byte string; none where there is no such folder. Paths and names are bytes, since where the file system
 * does not say what an entry is (NFS, sshfs, ext4 and XFS without that feature), Node looks at it, by a path that it can make
 * of two texts or of bytes only.
 */
export async function entriesIn(folder: string): Promise<readonly Entry[]> {
  const path = bytesOf(folder);
  try {
    return await readdir(path, { encoding: 'buffer', withFileTypes: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT') && error.syscall === 'lstat') return lookedAt(path);
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Where one of them vanished meanwhile, Node gives none. */
async function lookedAt(folder: Buffer): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const name of (await ifThere(() => readdir(folder, 'buffer'))) ?? []) {
    const stats = await ifThere(() => lstat(Buffer.concat([folder, Buffer.from('/'), name])));
    if (stats === undefined) continue;
    found.push({ name, isDirectory: () => stats.isDirectory(), isFile: () => stats.isFile() });
  }
  return found;
}
