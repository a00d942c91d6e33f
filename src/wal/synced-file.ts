/** A new file that is on the disk when it is finished. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { WAL_MODE } from '../archive/prefetch.ts';
import { EarlySync } from '../early-sync.ts';

const SYNC_BYTES = 4 * 1024 * 1024;

export class SyncedFile {
  readonly #descriptor: number;
  readonly #sync: EarlySync;

  /** Makes the file, or empties it. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'w', WAL_MODE);
    this.#sync = new EarlySync(this.#descriptor, SYNC_BYTES);
  }

  /** Synchronous: `bytes` may be another's from now on. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
    this.#sync.wrote(bytes.length);
  }

  /** All of it is on disk when this resolves. */
  finish(): Promise<void> {
    return this.#sync.finish();
  }

  async close(): Promise<void> {
    await this.#sync.settle();
    closeSync(this.#descriptor);
  }
}
