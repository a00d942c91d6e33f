/** A worker thread that extracts parts, seen from the main thread. One part at a time. */
import { Worker } from 'node:worker_threads';
import { DataError, UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import type { Extracted } from '../tar/extract.ts';
import { MemberError } from '../tar/member-error.ts';
import { createChunkSlots, SLOT_BYTES, SLOTS, slotAt } from './chunk-slots.ts';
import type {
  ExtractFailure,
  ExtractorData,
  ExtractPlace,
  FromExtractor,
  ToExtractor,
} from './extract-messages.ts';

export interface ExtractCall {
  /** Files of an earlier attempt at this part may be there. */
  readonly again: boolean;
  readonly signal: AbortSignal;
  /** Called with the bytes of files written since the last call. */
  readonly onPlain: (bytes: number) => void;
}

export class ExtractorThread {
  readonly #worker: Worker;
  readonly #slots = createChunkSlots();
  /** Of the slot that is filled next. */
  #turn = 0;
  #job: Job | undefined;
  #broken: unknown;

  constructor(place: ExtractPlace) {
    this.#worker = new Worker(programFile('extract.worker.cjs'), {
      workerData: { place, slots: this.#slots } satisfies ExtractorData,
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
    let length = 0;
    for await (const chunk of source) {
      for (let rest = chunk; rest.length > 0; ) {
        while (job.underway === SLOTS && !job.settled) await job.news();
        if (job.settled) return;
        signal.throwIfAborted();
        const fitting = rest.subarray(0, SLOT_BYTES - length);
        slotAt(this.#slots, this.#turn).set(fitting, length);
        rest = rest.subarray(fitting.length);
        length += fitting.length;
        if (length < SLOT_BYTES) continue;
        this.#send(job, length);
        length = 0;
      }
    }
    if (length > 0) this.#send(job, length);
  }

  #send(job: Job, length: number): void {
    job.underway += 1;
    this.#say({ kind: 'chunk', turn: this.#turn, length });
    this.#turn += 1;
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
  /** Slots that the worker has not given back. */
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
      this.underway -= 1;
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
