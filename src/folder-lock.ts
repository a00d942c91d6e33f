/**
 * One process of this machine at a time works on a folder: a Unix socket that listens while it does. The system closes
 * it however the process ends, also by kill -9, and only when its last write is done, so nothing stale is left behind.
 * On Linux its name is in the abstract namespace and no file at all; elsewhere it is a file, which is taken over when
 * nobody answers on it. Containers with networks of their own do not see one another's.
 */
import { stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FolderLock {
  release(): Promise<void>;
}

/** `work` tells kinds of work apart. The folder must be there, by whatever name. undefined when another process has the lock. */
export async function lockFolder(work: string, folder: string): Promise<FolderLock | undefined> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const name = `wal-e-${work}-${dev}-${ino}`;
  const address = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name);
  let server = await listen(address);
  if (server === undefined && process.platform !== 'linux' && !(await answers(address))) {
    await unlink(address).catch(() => undefined);
    server = await listen(address);
  }
  if (server === undefined) return undefined;
  const held = server;
  return { release: () => new Promise((resolve) => held.close(() => resolve())) };
}

/** undefined when somebody listens there. */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
}
