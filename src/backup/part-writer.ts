/**
 * Makes the bytes of one part: plain tar bytes go in, blocks are compressed as they fill up in the codec's own memory,
 * and the lzop file comes out in chunks of about a megabyte. Synchronous throughout: nothing else may use the codec of
 * this thread in between.
 */
import { createHash, type Hash } from 'node:crypto';
import { LzopEncoder } from '../codec/encoder.ts';
import { RECORD_BYTES, TAR_BLOCKING_BYTES } from '../tar/header.ts';

/** Where the chunks go. */
export interface ChunkSink {
  /** What to fill: the same until it is sent, and larger than a compressed block. May block until there is some. */
  room(): Uint8Array;
  /** The first `bytes` of it are filled; it is the receiver's now. */
  send(bytes: number): void;
}

export interface WrittenPart {
  /** Bytes of the lzop file. */
  readonly size: number;
  /** Hex; empty when the part was not hashed. */
  readonly sha256: string;
}

export class PartWriter {
  readonly #encoder: LzopEncoder;
  readonly #block: Uint8Array;
  readonly #sink: ChunkSink;
  readonly #hash: Hash | undefined;
  #filled = 0;
  #plainBytes = 0;
  #chunkFilled = 0;
  #size = 0;

  constructor(options: {
    readonly mtimeSeconds: number;
    readonly hashed: boolean;
    readonly sink: ChunkSink;
  }) {
    this.#encoder = new LzopEncoder({ mode: 0, mtimeSeconds: options.mtimeSeconds });
    this.#block = this.#encoder.input();
    this.#sink = options.sink;
    this.#hash = options.hashed ? createHash('sha256') : undefined;
    this.#put(this.#encoder.header());
  }

  /** The free part of the block that is being filled: read into its start, then `advance`. Never empty. */
  room(): Uint8Array {
    return this.#block.subarray(this.#filled);
  }

  advance(bytes: number): void {
    this.#filled += bytes;
    this.#plainBytes += bytes;
    if (this.#filled === this.#block.length) this.#flush();
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.room();
      const piece = bytes.subarray(at, at + room.length);
      room.set(piece);
      at += piece.length;
      this.advance(piece.length);
    }
  }

  zeros(count: number): void {
    for (let left = count; left > 0; ) {
      const room = this.room();
      const length = Math.min(left, room.length);
      room.fill(0, 0, length);
      left -= length;
      this.advance(length);
    }
  }

  /** Ends the tar and the lzop file; the last chunk goes out. */
  end(): WrittenPart {
    const length = this.#plainBytes + 2 * RECORD_BYTES;
    this.zeros(Math.ceil(length / TAR_BLOCKING_BYTES) * TAR_BLOCKING_BYTES - this.#plainBytes);
    this.#flush();
    this.#put(this.#encoder.end());
    this.#send();
    return { size: this.#size, sha256: this.#hash?.digest('hex') ?? '' };
  }

  #flush(): void {
    if (this.#filled === 0) return;
    this.#put(this.#encoder.blockView(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }

  #put(packed: Uint8Array): void {
    if (this.#chunkFilled + packed.length > this.#sink.room().length) this.#send();
    this.#sink.room().set(packed, this.#chunkFilled);
    this.#chunkFilled += packed.length;
  }

  #send(): void {
    this.#hash?.update(this.#sink.room().subarray(0, this.#chunkFilled));
    this.#size += this.#chunkFilled;
    this.#sink.send(this.#chunkFilled);
    this.#chunkFilled = 0;
  }
}
