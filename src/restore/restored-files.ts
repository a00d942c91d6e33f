/** What lies in the directories of a restore that is under way. */
import { lstat, opendir } from 'node:fs/promises';
import type { Call } from '../store/store.ts';
import { toBytes } from '../tar/member-error.ts';
import { ifThere } from './target.ts';

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
  const folders = [toBytes(directory)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const path = Buffer.from(folder, 'latin1');
    const entries = await ifThere(() => opendir(path, { encoding: 'latin1', bufferSize: 1000 }));
    for await (const entry of entries ?? []) {
      signal.throwIfAborted();
      if (entry.isDirectory()) folders.push(`${folder}/${entry.name}`);
      if (!entry.isFile()) continue;
      found.files += 1;
      if (!sized) continue;
      const file = Buffer.from(`${folder}/${entry.name}`, 'latin1');
      found.bytes += (await ifThere(() => lstat(file)))?.size ?? 0;
    }
  }
  return found;
}
