/**
 * The calls of node:fs that the file store makes, as promises. Not node:fs/promises: loading it takes 3 ms of every
 * wal-push and wal-fetch, since it brings streams, watchers and readline along (docs/performance.md).
 */
import * as callbacks from 'node:fs';
import { promisify } from 'node:util';
import { isErrno } from './file-error.ts';

export const access = promisify(callbacks.access);
export const link = promisify(callbacks.link);
export const rename = promisify(callbacks.rename);
export const rmdir = promisify(callbacks.rmdir);
export const stat = promisify(callbacks.stat);
export const unlink = promisify(callbacks.unlink);

const makeFolder = promisify(callbacks.mkdir);
const openDescriptor = promisify(callbacks.open);
const calls = {
  close: promisify(callbacks.close),
  fstat: promisify(callbacks.fstat),
  fsync: promisify(callbacks.fsync),
  read: promisify(callbacks.read),
  writev: promisify(callbacks.writev),
};

/** One folder; its parent must be there. */
export async function mkdir(path: string): Promise<void> {
  await makeFolder(path);
}

/** A file that is not there is no error. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

export async function open(path: string, flags: string | number): Promise<OpenFile> {
  return new OpenFile(await openDescriptor(path, flags));
}

export class OpenFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  close(): Promise<void> {
    return calls.close(this.#descriptor);
  }

  stat(): Promise<callbacks.Stats> {
    return calls.fstat(this.#descriptor);
  }

  /** Contents and metadata are on disk when this resolves. */
  sync(): Promise<void> {
    return calls.fsync(this.#descriptor);
  }

  /** Bytes read, 0 at the end of the file. */
  async read(into: Uint8Array, position: number): Promise<number> {
    const { bytesRead } = await calls.read(this.#descriptor, into, 0, into.length, position);
    return bytesRead;
  }

  /** Bytes written: perhaps fewer than were given. */
  async writev(chunks: readonly Uint8Array[]): Promise<number> {
    const { bytesWritten } = await calls.writev(this.#descriptor, chunks);
    return bytesWritten;
  }
}
