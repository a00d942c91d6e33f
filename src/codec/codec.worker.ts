/** A thread of the codec's pool: one job after the other. */
import { parentPort } from 'node:worker_threads';
import { DataError } from '../errors.ts';
import { blockLength, packBlock, unpackBlock } from './block.ts';
import type { DecodeJob, EncodeJob, JobResult, SentJob } from './job.ts';
import { BLOCK_BYTES } from './lzo1x.ts';

parentPort?.on('message', (sent: SentJob) => {
  const result = resultOf(sent);
  parentPort?.postMessage(result, [result.buffer, result.target]);
});

function resultOf({ job, target }: SentJob): JobResult {
  const { buffer } = job;
  const output = new Uint8Array(target);
  try {
    const length = job.kind === 'encode' ? encode(job, output) : decode(job, output);
    return { buffer, target, length, fault: undefined };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { message, detail, hint } = error;
    return { buffer, target, length: 0, fault: { message, detail, hint } };
  }
}

/** Returns the bytes put into `output`, as does `decode`. */
function encode({ buffer, length }: EncodeJob, output: Uint8Array): number {
  const plain = new Uint8Array(buffer, 0, length);
  let filled = 0;
  for (let at = 0; at < length; at += BLOCK_BYTES) {
    const block = packBlock(plain.subarray(at, at + BLOCK_BYTES));
    output.set(block, filled);
    filled += block.length;
  }
  return filled;
}

function decode({ buffer, length, format, at }: DecodeJob, output: Uint8Array): number {
  const packed = Buffer.from(buffer, 0, length);
  let filled = 0;
  for (let done = 0; done < length; ) {
    const rest = packed.subarray(done);
    const taken = blockLength(rest, format, at + done);
    const plain = unpackBlock(rest.subarray(0, taken), format, at + done);
    output.set(plain, filled);
    filled += plain.length;
    done += taken;
  }
  return filled;
}
