/** Whether what is to be restored fits, asked before anything is written: each file system for what goes there. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../errors.ts';
import { formatBytes } from '../progress.ts';
import { ifThere } from './if-there.ts';

/** A place and what is still to be written there. It need not exist yet. */
export interface Demand {
  readonly directory: string;
  /** undefined: the archive does not tell how much of the whole goes there. */
  readonly bytes: number | undefined;
}

interface Room {
  readonly path: string;
  readonly free: number;
  needed: number;
}

/** Throws UserError when a file system has too little room for its demands, or all of them together for `totalBytes`. */
export async function checkFreeSpace(demands: readonly Demand[], totalBytes: number): Promise<void> {
  const devices = new Map<number, Room>();
  for (const { directory, bytes } of demands) {
    const path = await nearest(directory);
    const { dev } = await stat(path);
    const room = devices.get(dev) ?? { path, free: await freeBytes(path), needed: 0 };
    room.needed += bytes ?? 0;
    devices.set(dev, room);
  }
  const rooms = [...devices.values()];
  const full = rooms.find(({ free, needed }) => needed > free);
  if (full !== undefined)
    throw notEnough(
      `What goes to "${full.path}" needs ${formatBytes(full.needed)} (${full.needed} bytes); free there are ${formatBytes(full.free)}.`,
    );
  if (rooms.reduce((sum, { free }) => sum + free, 0) >= totalBytes) return;
  const found = rooms.map(({ path, free }) => `${formatBytes(free)} at "${path}"`).join(', ');
  throw notEnough(`The backup needs ${formatBytes(totalBytes)} (${totalBytes} bytes); free are ${found}.`);
}

/** Some network file systems do not tell: they claim to have no blocks at all. */
async function freeBytes(path: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(path);
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

function notEnough(detail: string): UserError {
  return new UserError('not enough free space for the restore', {
    detail,
    hint: 'Make room, or put tablespaces on another file system with --tablespace. --force tries it nevertheless.',
  });
}

async function nearest(path: string): Promise<string> {
  const found = await ifThere(() => stat(path));
  return found === undefined && path !== '/' ? nearest(dirname(path)) : path;
}
