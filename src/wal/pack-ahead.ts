/**
 * A WAL file as a stream that is made while its reader is at work: compressing holds up this thread, so it is done when
 * the reader has handed the piece before to another, as the file store does with what it writes.
 */
import { newSlab, packInto } from './pack.ts';
import type { WalFile } from './wal-file.ts';

/** Each piece is valid until the next one is asked for; three slabs take turns. */
export function packAhead(file: WalFile): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => new PiecesAhead(file) };
}

class PiecesAhead implements AsyncIterator<Uint8Array> {
  readonly #pieces: Generator<Uint8Array>;
  #ahead: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(file: WalFile) {
    // One is with the reader, one is ready, one is being filled.
    let [slab, next, last] = [newSlab(), newSlab(), newSlab()];
    this.#pieces = packInto(file, () => {
      [slab, next, last] = [next, last, slab];
      return slab;
    });
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const next = await (this.#ahead ?? this.#pieces.next());
    this.#ahead = undefined;
    if (next.done !== true) {
      this.#ahead = new Promise((resolve) => setImmediate(resolve)).then(() => this.#pieces.next());
      // Nobody may ask for it.
      this.#ahead.catch(() => undefined);
    }
    return next;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#pieces.return(undefined);
    return { done: true, value: undefined };
  }
}
