/**
 * The codec on worker threads, for a command that reads many WAL files: several streams at once, or one, share all
 * threads. Order is kept; a stream reads ahead only as far as keeps the threads busy, so memory is bounded by threads
 * times streams. (Parts of base backups have threads of their own: part-pool.ts.)
 */
import type { Codec } from './codec.ts';
import { LzopContainer, type PackedBlock } from './container.ts';
import { LzopEncoder, type LzopHeader } from './encoder.ts';
import { type DecodeJob, type EncodeJob, JOB_BLOCKS, JOB_PLAIN_BYTES, type Job } from './job.ts';
import { CodecThreads } from './threads.ts';

export interface PoolOptions {
  /** Threads: as many as cores are worth using. */
  readonly size: number;
  /** When it aborts, the threads end and all streams throw its reason. */
  readonly signal: AbortSignal;
}

/** Starts the threads at once, so that they are ready when the first data is. Must be closed. */
export function createCodecPool({ size, signal }: PoolOptions): Codec {
  const threads = new CodecThreads(size, signal);
  return {
    encode: (plain, header) => encode(threads, plain, header),
    decode: (source) => inOrder(threads, decodeJobs(threads, source)),
    close: () => threads.close(),
  };
}

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

async function* encode(threads: CodecThreads, plain: Chunks, header: LzopHeader): AsyncGenerator<Uint8Array> {
  const encoder = new LzopEncoder(header);
  yield encoder.header();
  yield* inOrder(threads, encodeJobs(threads, plain));
  yield encoder.end();
}

/** Results in the order of the jobs, as many at a time as keep the threads busy. */
async function* inOrder(threads: CodecThreads, jobs: AsyncIterable<Job>): AsyncGenerator<Uint8Array> {
  const running: Promise<Uint8Array<ArrayBuffer>>[] = [];
  for await (const job of jobs) {
    const result = threads.run(job);
    // Nobody waits for it any more when an earlier one failed or the consumer left.
    result.catch(() => {});
    running.push(result);
    const first = running.length >= threads.width ? running.shift() : undefined;
    if (first) yield* once(threads, await first);
  }
  for (const result of running) yield* once(threads, await result);
}

/** A result whose buffer is used again when the consumer asks for the next. */
function* once(threads: CodecThreads, result: Uint8Array<ArrayBuffer>): Generator<Uint8Array> {
  yield result;
  threads.release(result);
}

async function* encodeJobs(threads: CodecThreads, plain: Chunks): AsyncGenerator<EncodeJob> {
  let buffer = threads.buffer();
  let length = 0;
  for await (const chunk of plain) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + JOB_PLAIN_BYTES - length);
      new Uint8Array(buffer).set(part, length);
      length += part.length;
      at += part.length;
      if (length < JOB_PLAIN_BYTES) break;
      yield { kind: 'encode', buffer, length };
      buffer = threads.buffer();
      length = 0;
    }
  }
  if (length > 0) yield { kind: 'encode', buffer, length };
}

async function* decodeJobs(
  threads: CodecThreads,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<DecodeJob> {
  const container = new LzopContainer();
  let batch: Batch | undefined;
  for await (const chunk of source) {
    for (const block of container.push(chunk)) {
      batch ??= new Batch(threads.buffer(), block);
      batch.add(block);
      if (batch.blocks < JOB_BLOCKS) continue;
      yield batch.job();
      batch = undefined;
    }
  }
  if (batch) yield batch.job();
  container.end();
}

/** Packed blocks gathered for one job. */
class Batch {
  blocks = 0;
  #length = 0;
  readonly #buffer: ArrayBuffer;
  readonly #first: Pick<PackedBlock, 'format' | 'at'>;

  constructor(buffer: ArrayBuffer, { format, at }: PackedBlock) {
    this.#buffer = buffer;
    this.#first = { format, at };
  }

  add({ bytes }: PackedBlock): void {
    new Uint8Array(this.#buffer).set(bytes, this.#length);
    this.#length += bytes.length;
    this.blocks += 1;
  }

  job(): DecodeJob {
    return { kind: 'decode', buffer: this.#buffer, length: this.#length, ...this.#first };
  }
}
