/**
 * Assembles LZO1X blocks instruction by instruction, straight from the description of the format
 * (https://docs.kernel.org/staging/lzo.html), together with the bytes that they stand for.
 */
import { lzo1x } from '../../src/codec/lzo1x.ts';
import { noise } from './samples.ts';

export const END_MARKER = [0x11, 0, 0];

export class Assembly {
  readonly packed: number[] = [];
  readonly plain: number[] = [];

  /** Literals as the first thing in a block, 1 to 238. */
  first(length: number): this {
    this.packed.push(17 + length);
    return this.#literals(length);
  }

  /** Literals with a code of their own, 4 and more. */
  run(length: number): this {
    if (length <= 18) this.packed.push(length - 3);
    else this.packed.push(0, ...long(length - 18));
    return this.#literals(length);
  }

  /** `tail`: 0 to 3 literals that the match carries along. */
  m2(length: number, distance: number, tail = 0): this {
    const low = (distance - 1) & 7;
    this.packed.push(((length - 1) << 5) | (low << 2) | tail, (distance - 1) >> 3);
    return this.#match(length, distance, tail);
  }

  m3(length: number, distance: number, tail = 0): this {
    if (length <= 33) this.packed.push(32 | (length - 2));
    else this.packed.push(32, ...long(length - 33));
    this.#operand(distance - 1, tail);
    return this.#match(length, distance, tail);
  }

  m4(length: number, distance: number, tail = 0): this {
    const beyond = distance - 16384;
    const high = (beyond >> 14) << 3;
    if (length <= 9) this.packed.push(16 | high | (length - 2));
    else this.packed.push(16 | high, ...long(length - 9));
    this.#operand(beyond & 0x3fff, tail);
    return this.#match(length, distance, tail);
  }

  /** The match of 2 bytes that only 1 to 3 literals can precede. */
  shortest(distance: number, tail = 0): this {
    this.packed.push((((distance - 1) & 3) << 2) | tail, (distance - 1) >> 2);
    return this.#match(2, distance, tail);
  }

  /** The match of 3 bytes at 2049 to 3072 that only a run of literals can precede. */
  afterRun(distance: number, tail = 0): this {
    this.packed.push((((distance - 2049) & 3) << 2) | tail, (distance - 2049) >> 2);
    return this.#match(3, distance, tail);
  }

  end(): this {
    this.packed.push(...END_MARKER);
    return this;
  }

  #operand(value: number, tail: number): void {
    this.packed.push(((value << 2) | tail) & 0xff, value >> 6);
  }

  #match(length: number, distance: number, tail: number): this {
    for (let i = 0; i < length; i += 1) this.plain.push(this.plain[this.plain.length - distance] ?? -1);
    return this.#literals(tail);
  }

  #literals(length: number): this {
    for (const byte of noise(length, this.packed.length + 1)) {
      this.packed.push(byte);
      this.plain.push(byte);
    }
    return this;
  }
}

/** What does not fit the first byte of an instruction: a zero for each 255, then 1 to 255. */
function long(rest: number): number[] {
  const zeros = Math.ceil(rest / 255) - 1;
  return [...Array<number>(zeros).fill(0), rest - zeros * 255];
}

export interface Fault {
  readonly fault: number;
  readonly at: number;
}

/** Decompresses a bare block. What lies behind it in the codec's memory is `behind`. */
export function decompressBlock(packed: ArrayLike<number>, plainLength: number, behind = 0): Buffer | Fault {
  const codec = lzo1x();
  codec.memory.set(packed, codec.packed);
  codec.memory.fill(behind, codec.packed + packed.length, codec.packed + packed.length + 64);
  const fault = codec.decompress(packed.length, plainLength);
  if (fault < 0) return { fault, at: codec.faultOffset() };
  return Buffer.from(codec.memory.subarray(codec.plain, codec.plain + plainLength));
}
