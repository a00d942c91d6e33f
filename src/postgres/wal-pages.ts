/**
 * A WAL segment without its page headers (PostgreSQL: XLogPageHeaderData in xlog_internal.h): the records, one behind
 * the other. Content offsets have the alignment of byte positions, since headers are multiples of eight bytes.
 */
const PAGE_HEADER = 24;
const SEGMENT_HEADER = 40;
const MAX_PAGE_BYTES = 65536;

/** One segment, whose chunks are pushed in order. Memory: a page. */
export class WalPages {
  readonly #start: bigint;
  #pageBytes = 0;
  #little = true;
  #page = 0;
  #rest = 0;
  #pending: Uint8Array = new Uint8Array(0);
  #ended = false;

  /** `start`: byte position of the segment. */
  constructor(start: bigint) {
    this.#start = start;
  }

  /** Nothing comes any more: pages after the end are zeros, or are left from a segment that this file was before. */
  get ended(): boolean {
    return this.#ended;
  }

  get littleEndian(): boolean {
    return this.#little;
  }

  /** Bytes at the beginning that are the rest of a record of the segment before. Known once there is content. */
  get rest(): number {
    return this.#rest;
  }

  /** What the chunk completes, a piece for each page. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (this.#ended) return [];
    const bytes = Buffer.concat([this.#pending, chunk]);
    if (this.#pageBytes === 0 && !this.#readFirst(bytes)) {
      this.#pending = bytes;
      return [];
    }
    const content: Uint8Array[] = [];
    let at = 0;
    for (; at + this.#pageBytes <= bytes.length && !this.#ended; at += this.#pageBytes) {
      const page = bytes.subarray(at, at + this.#pageBytes);
      this.#ended = read64(page, 8, this.#little) !== this.#start + BigInt(this.#page * this.#pageBytes);
      if (!this.#ended) content.push(page.subarray(this.#page === 0 ? SEGMENT_HEADER : PAGE_HEADER));
      this.#page += 1;
    }
    this.#pending = bytes.subarray(at);
    return content;
  }

  /** Content offset -> byte position in the WAL. */
  lsnOf(offset: number): bigint {
    const first = this.#pageBytes - SEGMENT_HEADER;
    if (offset < first) return this.#start + BigInt(SEGMENT_HEADER + offset);
    const each = this.#pageBytes - PAGE_HEADER;
    const page = 1 + Math.floor((offset - first) / each);
    return this.#start + BigInt(page * this.#pageBytes + PAGE_HEADER + ((offset - first) % each));
  }

  #readFirst(bytes: Buffer): boolean {
    if (bytes.length < SEGMENT_HEADER) return false;
    this.#little = read64(bytes, 8, true) === this.#start;
    this.#pageBytes = this.#little ? bytes.readUInt32LE(36) : bytes.readUInt32BE(36);
    this.#rest = this.#little ? bytes.readUInt32LE(16) : bytes.readUInt32BE(16);
    const isSize =
      this.#pageBytes >= 1024 && this.#pageBytes <= MAX_PAGE_BYTES && this.#pageBytes % 1024 === 0;
    if (isSize) return true;
    this.#ended = true;
    return false;
  }
}

export function read64(bytes: Uint8Array, at: number, little: boolean): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(at, little);
}
