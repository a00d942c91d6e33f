/**
 * One backup of a data directory at a time on this machine, server or not: a Unix socket that listens while the backup
 * runs. The system closes it however the process ends, so nothing stale is left behind. On Linux its name is in the
 * abstract namespace and no file at all; elsewhere it is a file, which is taken over when nobody answers on it.
 */
import { stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.ts';

export interface LocalLock {
  release(): Promise<void>;
}

/** Throws when another backup of that directory runs. */
export async function lockDirectory(dataDirectory: string): Promise<LocalLock> {
  const { dev, ino } = await stat(dataDirectory);
  const name = `wal-e-backup-push-${dev}-${ino}`;
  const address = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name);
  let server = await listen(address);
  if (server === undefined && process.platform !== 'linux' && !(await answers(address))) {
    await unlink(address).catch(() => undefined);
    server = await listen(address);
  }
  if (server === undefined) throw anotherBackup(`Another process is backing up "${dataDirectory}".`);
  const held = server;
  return { release: () => new Promise((resolve) => held.close(() => resolve())) };
}

export function anotherBackup(detail: string): UserError {
  return new UserError('another backup-push of this cluster is running', {
    detail,
    hint: 'Wait until it ends, or stop it.',
  });
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
