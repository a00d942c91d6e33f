/** The names in a folder that somebody may be changing, as byte strings, in whatever order, each once. */
import type { Dir } from 'node:fs';
import { opendir, readdir } from 'node:fs/promises';

const BATCH = 256;

/**
 * Batch by batch, so that memory does not grow with a folder. Where the file system does not say what an entry is (NFS in
 * large folders, sshfs, ext4 and XFS without that feature), Node's directory streams look at it by a path that they cannot
 * make, and lose what was read besides: from there on all names are read at once. Rejects with Node's errors.
 */
export async function* folderNames(folder: Buffer): AsyncGenerator<string[]> {
  // Outside of the heap, whose limit would rise with them.
  const given: Buffer[] = [];
  const directory = await opendir(folder, { encoding: 'latin1', bufferSize: BATCH });
  try {
    for (;;) {
      const names = await typedNames(directory);
      if (names === undefined) break;
      if (names.length === 0) return;
      given.push(Buffer.from(names.join('/'), 'latin1'));
      yield names;
    }
  } finally {
    await directory.close();
  }
  const known = new Set(given.flatMap((batch) => batch.toString('latin1').split('/')));
  const names = (await readdir(folder, { encoding: 'latin1' })).filter((name) => !known.has(name));
  for (let start = 0; start < names.length; start += BATCH) yield names.slice(start, start + BATCH);
}

/** At most a batch; none at the end; undefined where Node had to look at an entry, and could not. */
async function typedNames(directory: Dir): Promise<string[] | undefined> {
  const names: string[] = [];
  try {
    while (names.length < BATCH) {
      const next = await directory.read();
      if (next === null) break;
      names.push(next.name);
    }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === 'ERR_INVALID_ARG_TYPE' || syscall === 'lstat') return undefined;
    throw error;
  }
  return names;
}
