/** A second thread that compresses whole segments for a pool: it gets slabs, and gives them back filled. */
import { parentPort } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { packInto, SLAB_BYTES } from './pack.ts';
import { buffersOf, type PackAnswer, type PackOrder } from './pack-message.ts';

parentPort?.on('message', (order: PackOrder) => {
  const made = answer(order);
  parentPort?.postMessage(made, buffersOf([...made.pieces, ...made.unused]));
});

function answer({ file, slabs }: PackOrder): PackAnswer {
  const unused = [...slabs];
  try {
    const pieces = [...packInto(file, () => unused.pop() ?? new Uint8Array(SLAB_BYTES))];
    return { pieces, unused };
  } catch (error) {
    // An Error loses its class on the way; what an operator reads must arrive.
    if (error instanceof UserError) {
      const { message, detail, hint } = error;
      return { pieces: [], unused, failure: { message, detail, hint } };
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { pieces: [], unused, failure: { message } };
  }
}
