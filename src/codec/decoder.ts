/** Reads lzop files: every form that lzop can write; anything else is a DataError that names the byte. */
import { unpackBlock } from './block.ts';
import { LzopContainer } from './container.ts';
import { copyOf } from './encoder.ts';

/**
 * One lzop file: `push` its chunks, then `end()`, which throws when something is missing. Memory is bounded by one
 * block, whatever the file says. What was yielded before an error is right: its checksums were checked.
 */
export class LzopDecoder {
  readonly #container = new LzopContainer();

  /** The blocks that this chunk completes, each in memory of its own. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    for (const view of this.pushViews(chunk)) yield copyOf(view);
  }

  /** As `push`, but views of the codec's memory: each valid until the next call of any codec on this thread. */
  *pushViews(chunk: Uint8Array): Generator<Uint8Array> {
    for (const { bytes, format, at } of this.#container.push(chunk)) yield unpackBlock(bytes, format, at);
  }

  end(): void {
    this.#container.end();
  }
}

/** Decompresses on the calling thread; the blocks can be kept. */
export async function* decodeLzop(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new LzopDecoder();
  for await (const chunk of source) yield* decoder.push(chunk);
  decoder.end();
}
