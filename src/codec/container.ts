/** Finds the header and the blocks of one lzop file, which arrives in chunks of any size. */
import { blockLength, LONGEST_BLOCK } from './block.ts';
import { damaged } from './damage.ts';
import { type BlockFormat, headerLength, readHeader } from './header.ts';

/** A block with its lengths and checksums, still compressed. */
export interface PackedBlock {
  /** A part of the chunk or of the container's own buffer: valid until the next block is asked for. */
  readonly bytes: Buffer;
  readonly format: BlockFormat;
  /** Position in the file. */
  readonly at: number;
}

export class LzopContainer {
  #format: BlockFormat | undefined;
  #ended = false;
  /** Position in the file of the unit (header, block or end marker) that is being read. */
  #at = 0;
  /** What has arrived of a unit that lies across chunks. Of one size, whatever lengths the file claims. */
  #gathered: Buffer | undefined;
  #filled = 0;

  *push(chunk: Uint8Array): Generator<PackedBlock> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    while (rest.length > 0) {
      if (this.#ended) throw damaged('more bytes after the end marker', this.#at);
      const inPlace = this.#filled === 0 ? this.#length(rest) : Number.POSITIVE_INFINITY;
      const taken = inPlace <= rest.length ? inPlace : this.#gather(rest);
      const unit = inPlace <= rest.length ? rest.subarray(0, taken) : this.#gatheredUnit();
      rest = rest.subarray(taken);
      const block = unit && this.#finish(unit);
      if (block) yield block;
    }
  }

  /** Throws when the file is not complete. */
  end(): void {
    if (this.#ended) return;
    const at = this.#at + this.#filled;
    if (at === 0) throw damaged('there is no data', at);
    if (!this.#format) throw damaged('the data ends within the header', at);
    throw damaged(this.#filled === 0 ? 'the end marker is missing' : 'the data ends within a block', at);
  }

  /** Length of the unit as far as these first bytes of it tell; it is complete when it is not longer than they are. */
  #length(bytes: Buffer): number {
    return this.#format ? blockLength(bytes, this.#format, this.#at) : headerLength(bytes);
  }

  /** Adds what is known to be missing; returns how much of `rest` that was. */
  #gather(rest: Buffer): number {
    this.#gathered ??= Buffer.allocUnsafeSlow(LONGEST_BLOCK);
    const missing = this.#length(this.#gathered.subarray(0, this.#filled)) - this.#filled;
    const taken = rest.copy(this.#gathered, this.#filled, 0, Math.min(missing, rest.length));
    this.#filled += taken;
    return taken;
  }

  #gatheredUnit(): Buffer | undefined {
    const bytes = this.#gathered?.subarray(0, this.#filled);
    return bytes && this.#length(bytes) === this.#filled ? bytes : undefined;
  }

  #finish(unit: Buffer): PackedBlock | undefined {
    const at = this.#at;
    this.#at += unit.length;
    this.#filled = 0;
    if (!this.#format) this.#format = readHeader(unit);
    else if (unit.length === 4) this.#ended = true;
    else return { bytes: unit, format: this.#format, at };
    return undefined;
  }
}
