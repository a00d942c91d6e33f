/** What is in a folder of the restore. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ifThere } from './target.ts';

/**
 * None where there is no such folder, whose path is a byte string. Paths and names are bytes, since where the file system does not say what an entry is (NFS,
 * sshfs, ext4 and XFS without that feature), Node looks at it, by a path that it can make of two texts or of bytes only.
 */
export async function entriesIn(folder: string): Promise<readonly Dirent<Buffer>[]> {
  const path = Buffer.from(folder, 'latin1');
  return (await ifThere(() => readdir(path, { encoding: 'buffer', withFileTypes: true }))) ?? [];
}
