/** Whether what is to be restored fits, asked before anything is written. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../errors.ts';
import { formatBytes } from '../progress.ts';
import { ifThere } from './target.ts';

/**
 * Throws UserError when the file systems of these directories (they need not exist yet) together have less room than
 * `bytes`. Which tablespace needs how much, an archive does not tell.
 */
export async function checkFreeSpace(directories: readonly string[], bytes: number): Promise<void> {
  const devices = new Map<number, { readonly path: string; readonly free: number }>();
  for (const directory of directories) {
    const path = await nearest(directory);
    const [{ dev }, { bavail, bsize }] = [await stat(path), await statfs(path)];
    devices.set(dev, { path, free: bavail * bsize });
  }
  const rooms = [...devices.values()];
  const free = rooms.reduce((sum, room) => sum + room.free, 0);
  if (free >= bytes) return;
  const found = rooms.map(({ path, free: room }) => `${formatBytes(room)} at "${path}"`).join(', ');
  throw new UserError('not enough free space for the restore', {
    detail: `The backup needs ${formatBytes(bytes)} (${bytes} bytes); free are ${found}.`,
    hint: 'Make room, or put tablespaces on another file system with --tablespace. --force tries it nevertheless.',
  });
}

async function nearest(path: string): Promise<string> {
  const found = await ifThere(() => stat(path));
  return found === undefined && path !== '/' ? nearest(dirname(path)) : path;
}
