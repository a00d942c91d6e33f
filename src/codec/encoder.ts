/** Writes lzop files: byte for byte the container of `lzop -c` 1.04 reading standard input, around our own LZO1X. */
import { packBlock, packBlockTo } from './block.ts';
import { blocks } from './blocks.ts';
import { BLOCK_HEADER_BYTES } from './format.ts';
import { type LzopHeader, writeHeader } from './header.ts';
import { BLOCK_BYTES, lzo1x } from './lzo1x.ts';

export type { LzopHeader } from './header.ts';

/**
 * One lzop file: `header()`, any number of blocks (all but the last 262144 bytes, as lzop makes them), `end()`. All
 * methods are synchronous.
 *
 * The quickest way through has no copy on either side: read into `input()`, hand the filled part to `blockView`,
 * write the view. Both are memory that all codecs of the thread share, so nothing may be awaited from filling the
 * one until the other is used up.
 */
export class LzopEncoder {
  readonly #header: LzopHeader;

  constructor(header: LzopHeader) {
    this.#header = header;
  }

  header(): Uint8Array {
    return writeHeader(this.#header);
  }

  /** Room for one block (262144 bytes) in the codec's own memory: what lies here from its start on is not copied. */
  input(): Uint8Array {
    const { memory, plain } = lzo1x();
    return memory.subarray(plain, plain + BLOCK_BYTES);
  }

  /** Compresses 1 to 262144 bytes; the result can be kept. */
  block(plain: Uint8Array): Uint8Array {
    return copyOf(packBlock(plain));
  }

  /** As `block`, but a view of the codec's memory: valid until the next call of any codec on this thread. */
  blockView(plain: Uint8Array): Uint8Array {
    return packBlock(plain);
  }

  end(): Uint8Array {
    return new Uint8Array(4);
  }
}

/**
 * Lzop files made within the codec's own memory, one block behind the other, so that nothing is copied: two slabs take
 * turns. There is one pair for each thread; whoever takes it must give it back.
 */
export class EncoderSlabs {
  static #taken = false;

  #index: 0 | 1 = 0;
  #at = 0;

  /** undefined: somebody else has them. */
  static take(): EncoderSlabs | undefined {
    if (EncoderSlabs.#taken) return undefined;
    EncoderSlabs.#taken = true;
    return new EncoderSlabs();
  }

  giveBack(): void {
    EncoderSlabs.#taken = false;
  }

  /** No block may be added before `next` was called. */
  get isFull(): boolean {
    const { slabBytes, packedBytes } = lzo1x();
    return this.#at + BLOCK_HEADER_BYTES + packedBytes > slabBytes;
  }

  /** Header or end of a file. */
  add(bytes: Uint8Array): void {
    lzo1x().memory.set(bytes, this.#start + this.#at);
    this.#at += bytes.length;
  }

  /** Compresses 1 to 262144 bytes. */
  addBlock(plain: Uint8Array): void {
    this.#at += packBlockTo(this.#start + this.#at, plain);
  }

  /** What was added, valid until the next but one is asked for; goes on to the other slab. */
  next(): Uint8Array {
    const full = lzo1x().memory.subarray(this.#start, this.#start + this.#at);
    this.#index = this.#index === 0 ? 1 : 0;
    this.#at = 0;
    return full;
  }

  get #start(): number {
    return lzo1x().slabs[this.#index];
  }
}

/** Compresses on the calling thread; the pieces can be kept. */
export async function* encodeLzop(
  plain: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  header: LzopHeader,
): AsyncGenerator<Uint8Array> {
  const encoder = new LzopEncoder(header);
  yield encoder.header();
  for await (const block of blocks(plain, BLOCK_BYTES)) yield encoder.block(block);
  yield encoder.end();
}

/** A copy that does not pay for zeroing first. */
export function copyOf(view: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(view.length);
  copy.set(view);
  return copy;
}
