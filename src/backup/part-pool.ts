/**
 * The worker threads that make parts, seen from the main thread: one part at a time each, its compressed bytes coming
 * out as an async iterable. A worker waits when a few of its chunks were not taken yet, so memory stays bounded
 * however slow the store is.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import { ChunkReader, createChunkRing } from './chunk-ring.ts';
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
  /** The lzop file; to be read once, to its end. A chunk is the reader's until it asks for the next. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Known when `chunks` ended. */
  packed(): PackedPart;
}

export interface PartPool {
  /** Bytes of files read so far. */
  bytesRead(): number;
  /** Resolves when a worker has time for it. Throws the signal's reason when that aborts. */
  pack(order: PartOrder, signal: AbortSignal): Promise<PackingPart>;
  /** Ends the threads, whatever they do. */
  close(): Promise<void>;
}

/**
 * A worker holds the list of one part's members and little else. Left to itself, V8 lets the garbage of many small
 * files pile up to some fifty megabytes in each.
 */
const HEAP = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 128 };
const LOOK_MS = 50;
const LOOKS = 3;

/**
 * As many threads as there are cores start at once: each costs 45 ms of a core and a dozen megabytes. Further ones, up
 * to `size`, start when those there are wait for the store, so that a slow store gets more parts at a time.
 */
export function createPartPool(options: PartPoolOptions): PartPool {
  return new Pool(options);
}

class Pool implements PartPool {
  readonly #options: PartPoolOptions;
  readonly #setup: Omit<WorkerSetup, 'ring'>;
  readonly #all: PartWorker[] = [];
  readonly #idle: PartWorker[] = [];
  /** Called when a worker became idle. */
  readonly #waiting = new Set<() => void>();

  constructor(options: PartPoolOptions) {
    this.#options = options;
    const { pages, hashed, readBytesPerSecond } = options;
    const rateLimit = readBytesPerSecond === undefined ? undefined : createRateLimit(readBytesPerSecond);
    this.#setup = { pages, hashed, rateLimit, progress: new SharedArrayBuffer(8) };
    while (this.#all.length < Math.min(options.size, availableParallelism())) this.#add();
  }

  bytesRead(): number {
    return Number(Atomics.load(new BigInt64Array(this.#setup.progress), 0));
  }

  async pack(order: PartOrder, signal: AbortSignal): Promise<PackingPart> {
    const worker = await this.#free(signal);
    let part: PackedPart | undefined;
    const finished = () => {
      this.#idle.push(worker);
      for (const wake of this.#waiting) wake();
    };
    async function* chunks() {
      part = yield* worker.pack(order, signal);
      finished();
    }
    return {
      chunks: chunks(),
      packed() {
        if (part === undefined) throw new Error('the part is not packed yet');
        return part;
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.end()));
  }

  async #free(signal: AbortSignal): Promise<PartWorker> {
    for (let heldUp = 0; ; heldUp = this.#all.some((worker) => worker.isHeldUp()) ? heldUp + 1 : 0) {
      signal.throwIfAborted();
      const worker = this.#idle.pop();
      if (worker !== undefined) return worker;
      if (heldUp >= LOOKS && this.#all.length < this.#options.size) {
        heldUp = 0;
        this.#add();
      } else {
        await this.#look();
      }
    }
  }

  /** Until a worker is idle, or for a moment. */
  #look(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, LOOK_MS);
      this.#waiting.add(done);
    });
  }

  #add(): void {
    const worker = new PartWorker(this.#setup);
    this.#all.push(worker);
    this.#idle.push(worker);
  }
}

class PartWorker {
  readonly #chunks: ChunkReader;
  readonly #thread: Worker;
  readonly #reports: WorkerReport[] = [];
  #failure: unknown;
  #wake: () => void = () => undefined;

  constructor(setup: Omit<WorkerSetup, 'ring'>) {
    const ring = createChunkRing();
    this.#chunks = new ChunkReader(ring);
    const workerData: WorkerSetup = { ...setup, ring };
    this.#thread = new Worker(programFile('partition.worker.cjs'), { workerData, resourceLimits: HEAP });
    this.#thread.on('message', (report: WorkerReport) => {
      this.#reports.push(report);
      this.#wake();
    });
    this.#thread.on('error', (error) => this.#fail(error));
    this.#thread.on('exit', () => this.#fail(new Error('a worker thread ended')));
  }

  async *pack(order: PartOrder, signal: AbortSignal): AsyncGenerator<Uint8Array, PackedPart> {
    // A signal of its own, since Node warns of one that more than ten listen to.
    const own = AbortSignal.any([signal]);
    const aborted = () => this.#wake();
    own.addEventListener('abort', aborted, { once: true });
    try {
      this.#thread.postMessage(order);
      for (;;) {
        const report = await this.#next(own);
        if (report.kind === 'packed') return report.part;
        if (report.kind === 'failed') throw new UserError(report.message, report);
        yield this.#chunks.take(report.bytes);
        this.#chunks.done();
      }
    } finally {
      own.removeEventListener('abort', aborted);
    }
  }

  /** Nobody takes what it makes. */
  isHeldUp(): boolean {
    return this.#chunks.isFull();
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
