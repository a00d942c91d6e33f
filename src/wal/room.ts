/** Disk space for the segment that is needed now: that of the segments that were fetched ahead. */
import { statfsSync } from 'node:fs';
import { isAlive, type Spool } from '../archive/prefetch.ts';

/** A process that fetches ahead notices soon that it is no longer wanted; what it has open takes space until then. */
const CHILD_ENDS_MS = 3000;
const LOOK_MS = 20;

export async function makeRoom(spool: Spool): Promise<void> {
  const child = clear(spool);
  for (let waited = 0; child !== undefined && isAlive(child) && waited < CHILD_ENDS_MS; waited += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whether `folder` has room for more than `bytes`. */
export function hasRoom(folder: string, bytes: number): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > bytes;
}

/** What cannot be removed makes no room: whoever needed it fails again, and says why. */
function clear(spool: Spool): string | undefined {
  try {
    return spool.clear();
  } catch {
    return undefined;
  }
}
