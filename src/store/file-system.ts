/**
 * The calls of node:fs that the file store makes, as promises. Not node:fs/promises: loading it takes 3 ms of every
 * wal-push and wal-fetch, since it brings streams, watchers and readline along. Nor util.promisify, which takes a tenth
 * of a millisecond for each function (docs/performance.md).
 */
import {
  access as accessPath,
  close as closeDescriptor,
  type Dir,
  type Dirent,
  fstat,
  link as linkPath,
  mkdir as makeFolder,
  opendir as openFolder,
  open as openPath,
  read as readDescriptor,
  rmdir as removeFolder,
  rename as renamePath,
  type Stats,
  lstat as statLink,
  stat as statPath,
  unlink as unlinkPath,
  writev as writeDescriptor,
} from 'node:fs';
import { EarlySync } from '../early-sync.ts';
import { isErrno } from '../errno.ts';

const SYNC_BYTES = 1024 * 1024;

/** `mode`: R_OK and so on; without it, whether the path is there. */
export function access(path: string, mode?: number): Promise<void> {
  return done((callback) => accessPath(path, mode, callback));
}

/** Fails where `to` is there. */
export function link(from: string, to: string): Promise<void> {
  return done((callback) => linkPath(from, to, callback));
}

export function rename(from: string, to: string): Promise<void> {
  return done((callback) => renamePath(from, to, callback));
}

/** Whether anything is in the folder, which may hold millions of files. */
export async function hasEntries(path: string): Promise<boolean> {
  const folder = await result<Dir>((callback) => openFolder(path, { bufferSize: 1 }, callback));
  try {
    return (await result<Dirent | null>((callback) => folder.read(callback))) !== null;
  } finally {
    await done((callback) => folder.close(callback));
  }
}

/**
 * Resolves when the file system has answered, whatever it said. To be awaited before synchronous calls: a caller can give
 * up a call on another thread that hangs, while nothing would end one on this thread, no signal and no deadline.
 */
export async function untilAnswered(path: string): Promise<void> {
  await hasEntries(path).catch(() => undefined);
}

/** Also where it leads nowhere. */
export async function isLink(path: string): Promise<boolean> {
  try {
    return (await result<Stats>((callback) => statLink(path, callback))).isSymbolicLink();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Fails where the folder is not empty. */
export function rmdir(path: string): Promise<void> {
  return done((callback) => removeFolder(path, callback));
}

export function stat(path: string): Promise<Stats> {
  return result((callback) => statPath(path, callback));
}

export function unlink(path: string): Promise<void> {
  return done((callback) => unlinkPath(path, callback));
}

/** One folder; its parent must be there. */
export function mkdir(path: string): Promise<void> {
  return done((callback) => makeFolder(path, callback));
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
  return new OpenFile(await result((callback) => openPath(path, flags, callback)));
}

export class OpenFile {
  readonly #descriptor: number;
  readonly #sync: EarlySync;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#sync = new EarlySync(descriptor, SYNC_BYTES);
  }

  async close(): Promise<void> {
    await this.#sync.settle();
    await done((callback) => closeDescriptor(this.#descriptor, callback));
  }

  stat(): Promise<Stats> {
    return result((callback) => fstat(this.#descriptor, callback));
  }

  /** Contents and metadata are on disk when this resolves. */
  sync(): Promise<void> {
    return this.#sync.finish();
  }

  /** More will be written: what is there may be synced already. */
  syncEarly(bytes: number): void {
    this.#sync.wrote(bytes);
  }

  /** Bytes read, 0 at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number> {
    return result((callback) => readDescriptor(this.#descriptor, into, 0, into.length, position, callback));
  }

  /** Bytes written: perhaps fewer than were given. */
  writev(chunks: readonly Uint8Array[]): Promise<number> {
    return result((callback) => writeDescriptor(this.#descriptor, chunks, callback));
  }
}

function done(start: (callback: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}

function result<T>(start: (callback: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
}
