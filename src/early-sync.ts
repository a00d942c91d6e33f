/**
 * Syncs of a file that is still being written: the disk works while the rest of the file is made, so that the last sync has
 * little left to do. Where that cannot pay it ends soon: a sync of some network file systems holds up all writes to its file.
 */
import { fdatasync, fsync } from 'node:fs';

/** When a sync takes this long, and nothing was written meanwhile though there was more to write, it holds up the writes. */
const LONG_MS = 20;

/** What the early syncs of a process have seen of its disk. */
export interface SyncedDisk {
  /** libuv has four threads for all calls: early syncs of several files at once would keep other files from being written. */
  isBusy: boolean;
  holdsUpWrites: boolean;
}

const DISK: SyncedDisk = { isBusy: false, holdsUpWrites: false };

export class EarlySync {
  readonly #descriptor: number;
  readonly #leastBytes: number;
  readonly #disk: SyncedDisk;
  #written = 0;
  #unsynced = 0;
  #isAwaited = false;
  #sync: Promise<unknown> = Promise.resolve();
  /** Linux tells a descriptor once that data did not reach the disk; later syncs of it succeed. */
  #failure: Error | null = null;

  /** `leastBytes`: smaller syncs would only be more commits of the file system. */
  constructor(descriptor: number, leastBytes: number, disk = DISK) {
    this.#descriptor = descriptor;
    this.#leastBytes = leastBytes;
    this.#disk = disk;
  }

  /** Starts a sync in the background when so much waits for one; of a large file, when it is a fourth of all. */
  wrote(bytes: number): void {
    this.#written += bytes;
    this.#unsynced += bytes;
    this.#isAwaited = false;
    if (this.#disk.isBusy || this.#disk.holdsUpWrites) return;
    if (this.#unsynced >= Math.max(this.#leastBytes, this.#written / 4)) this.#sync = this.#syncEarly();
  }

  /** All of it is on disk when this resolves. */
  async finish(): Promise<void> {
    this.#isAwaited = true;
    await this.#sync;
    this.#sync = this.#start(fsync);
    await this.#sync;
    if (this.#failure !== null) throw this.#failure;
  }

  /** No sync goes on when this resolves: the descriptor of one could be that of another file as soon as it is closed. */
  async settle(): Promise<void> {
    this.#isAwaited = true;
    await this.#sync;
  }

  async #syncEarly(): Promise<void> {
    const before = this.#written;
    const started = process.uptime();
    this.#disk.isBusy = true;
    await this.#start(fdatasync);
    this.#disk.isBusy = false;
    const isLong = (process.uptime() - started) * 1000 >= LONG_MS;
    if (isLong && !this.#isAwaited && this.#written === before) this.#disk.holdsUpWrites = true;
  }

  #start(sync: typeof fsync): Promise<void> {
    this.#unsynced = 0;
    return new Promise<void>((resolve) => {
      sync(this.#descriptor, (error) => {
        this.#failure ??= error;
        resolve();
      });
    });
  }
}
