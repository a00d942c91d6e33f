/**
 * A WAL file as a stream that is made while its reader is at work: compressing holds up this thread, so it is done when
 * the reader has handed the piece before to another, as the file store does with what it writes.
 */
import { EncoderSlabs } from '../codec/encoder.ts';
import { newSlab, packInPlace, packInto } from './pack.ts';
import type { WalFile } from './wal-file.ts';

/** Each piece is valid until the next one is asked for. */
export function packAhead(file: WalFile): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => new PiecesAhead(file) };
}

class PiecesAhead implements AsyncIterator<Uint8Array> {
  #slabs = EncoderSlabs.take();
  readonly #pieces: Generator<Uint8Array>;
  #ahead: Promise<IteratorResult<Uint8Array>> | undefined;

  /** Without the codec's slabs, which another file may have, each piece is copied once more. */
  constructor(file: WalFile) {
    this.#pieces =
      this.#slabs === undefined ? packInto(file, threeInTurns()) : packInPlace(file, this.#slabs);
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const next = await this.#made();
    this.#ahead = undefined;
    if (next.done !== true) {
      this.#ahead = new Promise((resolve) => setImmediate(resolve)).then(() => this.#pieces.next());
      // Nobody may ask for it.
      this.#ahead.catch(() => undefined);
    }
    return next;
  }

  async #made(): Promise<IteratorResult<Uint8Array>> {
    let isOver = true;
    try {
      const next = await (this.#ahead ?? this.#pieces.next());
      isOver = next.done === true;
      return next;
    } finally {
      // Only when the reader has asked for more than there is: one that gives up earlier may still be writing.
      if (isOver) this.#giveBack();
    }
  }

  /** Once: when the reader asks again behind the end, another may have them. */
  #giveBack(): void {
    this.#slabs?.giveBack();
    this.#slabs = undefined;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#pieces.return(undefined);
    return { done: true, value: undefined };
  }
}

/** One is with the reader, one is ready, one is being filled. */
function threeInTurns(): () => Uint8Array {
  let [slab, next, last] = [newSlab(), newSlab(), newSlab()];
  return () => {
    [slab, next, last] = [next, last, slab];
    return slab;
  };
}
