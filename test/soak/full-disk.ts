/** A file system without a byte left. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Returns what gives the room back. */
export function fillUp(folder: string): () => void {
  const path = join(folder, 'ballast');
  const file = openSync(path, 'w');
  for (let size = 1024 * 1024; size >= 4096; size /= 2) {
    const block = Buffer.alloc(size);
    while (fits(file, block));
  }
  closeSync(file);
  return () => rmSync(path);
}

function fits(file: number, block: Buffer): boolean {
  try {
    return writeSync(file, block) === block.length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
