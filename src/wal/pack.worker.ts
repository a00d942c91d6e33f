/** A second thread that compresses whole segments for a pool: it gets a buffer, and gives it back filled. */
import { parentPort } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { packInto } from './pack.ts';
import type { PackAnswer, PackOrder } from './pack-thread.ts';

parentPort?.on('message', ({ file, target }: PackOrder) => {
  parentPort?.postMessage(answer(file, target), [target]);
});

function answer(file: PackOrder['file'], target: ArrayBuffer): PackAnswer {
  try {
    return { target, length: packInto(file, new Uint8Array(target)) };
  } catch (error) {
    // An Error loses its class on the way; what an operator reads must arrive.
    if (error instanceof UserError) {
      return { target, failure: { message: error.message, detail: error.detail, hint: error.hint } };
    }
    return {
      target,
      failure: { message: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    };
  }
}
