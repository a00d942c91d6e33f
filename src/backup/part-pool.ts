/**
 * The worker threads that make parts, seen from the main thread: one part at a time each, its compressed bytes coming
 * out as an async iterable. A worker waits when a few of its chunks were not taken yet, so memory stays bounded
 * however slow the store is.
 */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import type { PackedPart, PageRules, PartOrder, WorkerReport, WorkerSetup } from './part-protocol.ts';
import { createRateLimit } from './rate-limit.ts';

export interface PartPoolOptions {
  readonly size: number;
  readonly pages: PageRules | undefined;
  /** Of all workers together; undefined: as fast as it goes. */
  readonly readBytesPerSecond: number | undefined;
  readonly hashed: boolean;
}

export interface PackingPart {
  /** The lzop file; to be read once, to its end. The chunks are the reader's. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Known when `chunks` ended. */
  packed(): PackedPart;
}

export interface PartPool {
  /** Bytes of files read so far. */
  bytesRead(): number;
  /** At most `size` at a time. Throws the signal's reason when that aborts. */
  pack(order: PartOrder, signal: AbortSignal): PackingPart;
  /** Ends the threads, whatever they do. */
  close(): Promise<void>;
}

/** Chunks of a megabyte that a worker may be ahead. */
const CREDIT = 4;

export function createPartPool(options: PartPoolOptions): PartPool {
  const progress = new SharedArrayBuffer(8);
  const { pages, hashed, readBytesPerSecond } = options;
  const rateLimit = readBytesPerSecond === undefined ? undefined : createRateLimit(readBytesPerSecond);
  const all = Array.from(
    { length: options.size },
    () => new PartWorker({ pages, hashed, rateLimit, progress }),
  );
  const idle = [...all];
  return {
    bytesRead: () => Number(Atomics.load(new BigInt64Array(progress), 0)),
    pack(order, signal) {
      const worker = idle.pop();
      if (worker === undefined) throw new Error('all workers are busy');
      let part: PackedPart | undefined;
      async function* chunks() {
        part = yield* worker?.pack(order, signal) ?? [];
        if (worker !== undefined) idle.push(worker);
      }
      return {
        chunks: chunks(),
        packed() {
          if (part === undefined) throw new Error('the part is not packed yet');
          return part;
        },
      };
    },
    close: async () => void (await Promise.all(all.map((worker) => worker.end()))),
  };
}

class PartWorker {
  readonly #credit = new Int32Array(new SharedArrayBuffer(4));
  readonly #thread: Worker;
  readonly #reports: WorkerReport[] = [];
  #failure: unknown;
  #wake: () => void = () => undefined;

  constructor(setup: Omit<WorkerSetup, 'credit'>) {
    this.#credit[0] = CREDIT;
    const workerData: WorkerSetup = { ...setup, credit: this.#credit.buffer as SharedArrayBuffer };
    this.#thread = new Worker(programFile('partition.worker.cjs'), { workerData });
    this.#thread.on('message', (report: WorkerReport) => {
      this.#reports.push(report);
      this.#wake();
    });
    this.#thread.on('error', (error) => this.#fail(error));
    this.#thread.on('exit', () => this.#fail(new Error('a worker thread ended')));
  }

  async *pack(order: PartOrder, signal: AbortSignal): AsyncGenerator<Uint8Array, PackedPart> {
    const aborted = () => this.#wake();
    signal.addEventListener('abort', aborted, { once: true });
    try {
      this.#thread.postMessage(order);
      for (;;) {
        const report = await this.#next(signal);
        if (report.kind === 'packed') return report.part;
        if (report.kind === 'failed') throw new UserError(report.message, report);
        yield report.chunk;
        Atomics.add(this.#credit, 0, 1);
        Atomics.notify(this.#credit, 0);
      }
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  async #next(signal: AbortSignal): Promise<WorkerReport> {
    for (;;) {
      signal.throwIfAborted();
      const report = this.#reports.shift();
      if (report !== undefined) return report;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }
}
