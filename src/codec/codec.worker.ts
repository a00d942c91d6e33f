/** A thread of the codec's pool: one job after the other. */
import { parentPort } from 'node:worker_threads';
import { DataError } from '../errors.ts';
import { blockLength, LONGEST_BLOCK, packBlock, unpackBlock } from './block.ts';
import { type DecodeJob, type EncodeJob, JOB_BLOCKS, type Job, type JobResult } from './job.ts';
import { BLOCK_BYTES } from './lzo1x.ts';

/** Compressed blocks are gathered here, as their length is known only afterwards. */
const gathered = Buffer.allocUnsafeSlow(JOB_BLOCKS * LONGEST_BLOCK);

parentPort?.on('message', (job: Job) => {
  const result = resultOf(job);
  parentPort?.postMessage(result, result.output ? [result.buffer, result.output.buffer] : [result.buffer]);
});

function resultOf(job: Job): JobResult {
  const { buffer } = job;
  try {
    return { buffer, output: job.kind === 'encode' ? encode(job) : decode(job), fault: undefined };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { message, detail, hint } = error;
    return { buffer, output: undefined, fault: { message, detail, hint } };
  }
}

function encode({ buffer, length }: EncodeJob): Uint8Array<ArrayBuffer> {
  const plain = new Uint8Array(buffer, 0, length);
  let filled = 0;
  for (let at = 0; at < length; at += BLOCK_BYTES) {
    const block = packBlock(plain.subarray(at, at + BLOCK_BYTES));
    gathered.set(block, filled);
    filled += block.length;
  }
  const output = new Uint8Array(filled);
  output.set(gathered.subarray(0, filled));
  return output;
}

function decode({ buffer, length, plainLength, format, at }: DecodeJob): Uint8Array<ArrayBuffer> {
  const packed = Buffer.from(buffer, 0, length);
  const output = new Uint8Array(plainLength);
  let filled = 0;
  for (let done = 0; done < length; ) {
    const rest = packed.subarray(done);
    const taken = blockLength(rest, format, at + done);
    const plain = unpackBlock(rest.subarray(0, taken), format, at + done);
    output.set(plain, filled);
    filled += plain.length;
    done += taken;
  }
  return output;
}
