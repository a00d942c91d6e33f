/**
 * Syncs of a file that is still being written: the disk works while the rest of the file is made, so that the last sync has
 * little left to do.
 */
import { fdatasync, fsync } from 'node:fs';

export class EarlySync {
  readonly #descriptor: number;
  readonly #leastBytes: number;
  #written = 0;
  #unsynced = 0;
  #sync: Promise<unknown> = Promise.resolve();
  #syncs = false;
  /** Linux tells a descriptor once that data did not reach the disk; later syncs of it succeed. */
  #failure: Error | null = null;

  /** `leastBytes`: smaller syncs would only be more commits of the file system. */
  constructor(descriptor: number, leastBytes: number) {
    this.#descriptor = descriptor;
    this.#leastBytes = leastBytes;
  }

  /** Starts a sync in the background when so much waits for one; of a large file, when it is a fourth of all. */
  wrote(bytes: number): void {
    this.#written += bytes;
    this.#unsynced += bytes;
    if (!this.#syncs && this.#unsynced >= Math.max(this.#leastBytes, this.#written / 4))
      this.#start(fdatasync);
  }

  /** All of it is on disk when this resolves. */
  async finish(): Promise<void> {
    await this.#sync;
    await this.#start(fsync);
    if (this.#failure !== null) throw this.#failure;
  }

  /** No sync goes on when this resolves: the descriptor of one could be that of another file as soon as it is closed. */
  async settle(): Promise<void> {
    await this.#sync;
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
