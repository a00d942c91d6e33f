/** The use of segments that were fetched before they were asked for. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Spool } from '../archive/prefetch.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { checkOwnSystem } from '../postgres/own-system.ts';
import { checkSegment, SEGMENT_HEAD_BYTES } from '../postgres/wal-page.ts';
import { type Destination, dataDirectoryOf, place } from './destination.ts';

/** How long a segment that another process is fetching may stand still before this one fetches it itself. */
const STALL_MS = 500;
const LOOK_MS = 10;

/**
 * Moves the prefetched segment to its destination, waiting for it while it is being written and grows. Returns its size in
 * bytes; undefined: there is none that can be used.
 */
export async function takePrefetched(
  spool: Spool,
  name: string,
  destination: Destination,
  log: Log,
): Promise<number | undefined> {
  await waitWhileItGrows(spool, name);
  if (!spool.has(name)) return undefined;
  try {
    const size = check(spool.pathOf(name), name, dataDirectoryOf(destination.path));
    place(spool.pathOf(name), destination);
    return size;
  } catch (error) {
    spool.discard(name);
    const { message, detail } = error instanceof UserError ? error : { message: String(error) };
    log.warning('a prefetched segment cannot be used, and is fetched anew', {
      detail: [message, detail].filter(Boolean).join(': '),
    });
    return undefined;
  }
}

async function waitWhileItGrows(spool: Spool, name: string): Promise<void> {
  let bytes = -1;
  let looks = 0;
  while (!spool.has(name)) {
    const progress = spool.progress(name);
    if (progress === undefined) return;
    if (progress > bytes) {
      bytes = progress;
      looks = 0;
    }
    if (looks * LOOK_MS > STALL_MS) return;
    looks += 1;
    await delay(LOOK_MS);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The lzop checks were made when it was written; these tell that it is all there and under its own name. */
function check(path: string, name: string, dataDirectory: string): number {
  const descriptor = openSync(path, 'r');
  try {
    const head = new Uint8Array(SEGMENT_HEAD_BYTES);
    const length = readSync(descriptor, head, 0, head.length, 0);
    const { size } = fstatSync(descriptor);
    checkSegment(name, size, head.subarray(0, length));
    checkOwnSystem(name, head, dataDirectory);
    return size;
  } finally {
    closeSync(descriptor);
  }
}
