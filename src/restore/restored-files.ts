/** What lies in the directories of a restore that is under way. */
import { lstat } from 'node:fs/promises';
import { byteString, bytesOf } from '../byte-string.ts';
import type { Call } from '../store/store.ts';
import { entriesIn } from './folder-entries.ts';
import { ifThere } from './if-there.ts';

export interface FoundFiles {
  /** Regular files. */
  readonly files: number;
  /** Sum of their sizes; 0 unless asked for. */
  readonly bytes: number;
}

/** The regular files below a directory, which need not be there. Links are not followed. */
export async function countFiles(
  directory: string,
  { sized, signal }: Call & { readonly sized: boolean },
): Promise<FoundFiles> {
  const found = { files: 0, bytes: 0 };
  // Byte strings: names need not be UTF-8.
  const folders = [byteString(directory)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await entriesIn(folder)) {
      signal.throwIfAborted();
      const path = `${folder}/${entry.name.toString('latin1')}`;
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile()) continue;
      found.files += 1;
      if (!sized) continue;
      const file = bytesOf(path);
      found.bytes += (await ifThere(() => lstat(file)))?.size ?? 0;
    }
  }
  return found;
}
