/** A worker thread that extracts parts, seen from the main thread. One part at a time. */
import { Worker } from 'node:worker_threads';
import { DataError, UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import type { Extracted } from '../tar/extract.ts';
import { MemberError } from '../tar/member-error.ts';
import { parcels } from './chunk-parcels.ts';
import type { ExtractFailure, ExtractPlace, FromExtractor, ToExtractor } from './extract-messages.ts';

/** Compressed bytes on their way to the worker, at most (and one parcel more). */
const WINDOW_BYTES = 4 * 1024 * 1024;

export interface ExtractCall {
  /** Files of an earlier attempt at this part may be there. */
  readonly again: boolean;
  readonly signal: AbortSignal;
  /** Called with the bytes of files written since the last call. */
  readonly onPlain: (bytes: number) => void;
}

export class ExtractorThread {
  readonly #worker: Worker;
  #job: Job | undefined;
  #broken: unknown;

  constructor(place: ExtractPlace) {
    this.#worker = new Worker(programFile('extract.worker.cjs'), {
      workerData: place,
      // The codec and the decoder need little; a thread that needs more is a bug that must not eat the host.
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
    });
    this.#worker.on('message', (message: FromExtractor) => this.#job?.receive(message));
    this.#worker.on('error', (error) => this.#break(error));
    this.#worker.on('exit', () => this.#break(new Error('the extracting thread ended')));
  }

  /**
   * Extracts one part. `source` is fully read, or left early when the part cannot be extracted. Errors: DataError when
   * the part is damaged, MemberError when it holds what must not be extracted, UserError of the system, the source's.
   */
  async extract(source: AsyncIterable<Uint8Array>, call: ExtractCall): Promise<Extracted> {
    if (this.#broken !== undefined) throw this.#broken;
    const job = new Job(call.onPlain);
    this.#job = job;
    this.#say({ kind: 'part', again: call.again });
    try {
      await this.#feed(source, job, call.signal);
      this.#say({ kind: 'end' });
    } catch (error) {
      if (job.settled) return await job.result;
      // The command ends, and the thread with it.
      if (call.signal.aborted) throw error;
      this.#say({ kind: 'abandon' });
      // The worker's answer means that it writes no more; what stopped us is the better reason.
      await job.result.catch(() => undefined);
      throw error;
    }
    return await job.result;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #feed(source: AsyncIterable<Uint8Array>, job: Job, signal: AbortSignal): Promise<void> {
    for await (const bytes of parcels(source)) {
      while (job.underway > WINDOW_BYTES && !job.settled) await job.news();
      if (job.settled) return;
      signal.throwIfAborted();
      job.underway += bytes.length;
      this.#worker.postMessage({ kind: 'chunk', bytes } satisfies ToExtractor, [bytes.buffer]);
    }
  }

  #say(message: ToExtractor): void {
    this.#worker.postMessage(message);
  }

  #break(error: unknown): void {
    this.#broken ??= error;
    this.#job?.fail(error);
  }
}

class Job {
  underway = 0;
  settled = false;
  readonly result: Promise<Extracted>;
  readonly #onPlain: (bytes: number) => void;
  #resolve: (extracted: Extracted) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #wake: () => void = () => undefined;

  constructor(onPlain: (bytes: number) => void) {
    this.#onPlain = onPlain;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.result.catch(() => undefined);
  }

  receive(message: FromExtractor): void {
    if (message.kind === 'taken') {
      this.underway -= message.packed;
      this.#onPlain(message.plain);
    } else if (message.kind === 'done') {
      this.settled = true;
      this.#resolve(message.extracted);
    } else {
      this.fail(errorOf(message.failure));
    }
    this.#wake();
  }

  fail(error: unknown): void {
    this.settled = true;
    this.#reject(error);
    this.#wake();
  }

  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function errorOf({ cause, message, detail, hint }: ExtractFailure): Error {
  if (cause === 'damage') return new DataError(message, { detail, hint });
  if (cause === 'refused') return new MemberError(message, { detail, hint });
  if (cause === 'system') return new UserError(message, { detail, hint });
  return new Error(`${message}\n${detail ?? ''}`);
}
