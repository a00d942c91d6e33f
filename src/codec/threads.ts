/** The worker threads behind the codec's pool: jobs in, results out, buffers used again. */
import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.ts';
import { programFile } from '../program.ts';
import { LONGEST_BLOCK } from './block.ts';
import { JOB_BLOCKS, type Job, type JobResult, type SentJob } from './job.ts';

/** A thread has its next job at hand when it finishes one. */
const JOBS_A_THREAD = 2;

interface Waiting {
  readonly job: Job;
  readonly resolve: (output: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (reason: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** In the order in which it answers. */
  readonly sent: Waiting[];
}

export class CodecThreads {
  /** How many jobs keep all threads busy. */
  readonly width: number;
  readonly #threads: Thread[];
  readonly #queue: Waiting[] = [];
  readonly #buffers: ArrayBuffer[] = [];
  readonly #signal: AbortSignal;
  readonly #abort = () => void this.#stop(this.#signal.reason);
  #stopped: { readonly reason: unknown } | undefined;

  constructor(size: number, signal: AbortSignal) {
    signal.throwIfAborted();
    this.#signal = signal;
    this.width = size * JOBS_A_THREAD;
    this.#threads = Array.from({ length: size }, () => this.#start());
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Room for the input of one job, or its result. */
  buffer(): ArrayBuffer {
    return this.#buffers.pop() ?? new ArrayBuffer(JOB_BLOCKS * LONGEST_BLOCK);
  }

  /** Gives back a result that is not needed any more. */
  release({ buffer }: Uint8Array<ArrayBuffer>): void {
    // A job has two.
    if (this.#buffers.length < 2 * this.width) this.#buffers.push(buffer);
  }

  /** Takes the job's buffer away. Rejects with DataError, with the signal's reason, or when a thread died. */
  run(job: Job): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#send();
    });
  }

  /** Resolves when no thread is left. Jobs that are not finished are rejected. */
  close(): Promise<void> {
    return this.#stop(new Error('the codec pool was closed'));
  }

  #start(): Thread {
    const worker = new Worker(programFile('codec.worker.cjs'), {
      env: {},
      execArgv: [],
      trackUnmanagedFds: false,
    });
    const thread: Thread = { worker, sent: [] };
    worker.on('message', (result: JobResult) => this.#finish(thread, result));
    worker.on('error', (error) => void this.#stop(error));
    worker.on('exit', () => void this.#stop(new Error('a thread of the codec ended')));
    // Only a job keeps the process running.
    worker.unref();
    return thread;
  }

  #send(): void {
    if (this.#stopped) {
      for (const { reject } of this.#queue.splice(0)) reject(this.#stopped.reason);
      return;
    }
    for (;;) {
      const thread = this.#threads.reduce((least, other) =>
        other.sent.length < least.sent.length ? other : least,
      );
      if (thread.sent.length === JOBS_A_THREAD) return;
      const next = this.#queue.shift();
      if (!next) return;
      if (thread.sent.length === 0) thread.worker.ref();
      thread.sent.push(next);
      const sent: SentJob = { job: next.job, target: this.buffer() };
      thread.worker.postMessage(sent, [sent.job.buffer, sent.target]);
    }
  }

  #finish(thread: Thread, { buffer, target, length, fault }: JobResult): void {
    const done = thread.sent.shift();
    if (thread.sent.length === 0) thread.worker.unref();
    this.release(new Uint8Array(buffer));
    if (fault) done?.reject(new DataError(fault.message, fault));
    else done?.resolve(new Uint8Array(target, 0, length));
    this.#send();
  }

  async #stop(reason: unknown): Promise<void> {
    this.#stopped ??= { reason };
    this.#signal.removeEventListener('abort', this.#abort);
    this.#send();
    for (const { sent } of this.#threads) {
      for (const { reject } of sent.splice(0)) reject(this.#stopped.reason);
    }
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}
