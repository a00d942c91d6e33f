/** A thread of the pool that decompresses: one job after the other. */
import { parentPort } from 'node:worker_threads';
import { DataError } from '../errors.ts';
import { blockLength, unpackBlock } from './block.ts';
import type { Job, JobResult, SentJob } from './job.ts';

parentPort?.on('message', (sent: SentJob) => {
  const result = resultOf(sent);
  parentPort?.postMessage(result, [result.buffer, result.target]);
});

function resultOf({ job, target }: SentJob): JobResult {
  const { buffer } = job;
  try {
    return { buffer, target, length: decode(job, new Uint8Array(target)), fault: undefined };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { message, detail, hint } = error;
    return { buffer, target, length: 0, fault: { message, detail, hint } };
  }
}

/** Returns the bytes put into `output`. */
function decode({ buffer, length, format, at }: Job, output: Uint8Array): number {
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
