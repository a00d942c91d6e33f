/**
 * A new file that is on the disk when it is finished. The disk works while the rest of the file is being made: a sync
 * of what is there already goes on in the background, so that the last one has little left to do.
 */
import { closeSync, fdatasync, fsync, openSync, writeSync } from 'node:fs';
import { WAL_MODE } from '../archive/prefetch.ts';

/** A background sync starts when so much waits for it. Smaller ones would only be more commits of the file system. */
const SYNC_BYTES = 4 * 1024 * 1024;

export class SyncedFile {
  readonly #descriptor: number;
  #unsynced = 0;
  #sync: Promise<unknown> = Promise.resolve();
  #syncs = false;
  /** Linux tells a descriptor once that data did not reach the disk; later syncs of it succeed. */
  #failure: Error | null = null;

  /** Makes the file, or empties it. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'w', WAL_MODE);
  }

  /** Synchronous: `bytes` may be another's from now on. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
    this.#unsynced += bytes.length;
    if (!this.#syncs && this.#unsynced >= SYNC_BYTES) this.#start(fdatasync);
  }

  /** All of it is on disk when this resolves. */
  async finish(): Promise<void> {
    await this.#sync;
    await this.#start(fsync);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Not while a sync goes on: its descriptor could be that of another file by then. */
  async close(): Promise<void> {
    await this.#sync;
    closeSync(this.#descriptor);
  }

  #start(sync: typeof fsync): Promise<unknown> {
    this.#unsynced = 0;
    this.#syncs = true;
    this.#sync = new Promise<void>((resolve) => {
      sync(this.#descriptor, (error) => {
        this.#syncs = false;
        this.#failure ??= error;
        resolve();
      });
    });
    return this.#sync;
  }
}
