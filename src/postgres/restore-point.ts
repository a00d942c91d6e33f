/**
 * Finds the records that `pg_create_restore_point` leaves in WAL (XLOG_RESTORE_POINT, PostgreSQL 9.5 and later:
 * xlogrecord.h, xlog_internal.h). Not a reader of WAL: it looks for the name, and believes what has the form and the
 * checksum of such a record around it.
 */
import { crc32c } from './crc32c.ts';
import { read64, WalPages } from './wal-pages.ts';

/** Header, head of the data, time and name. */
const RECORD_BYTES = 24 + 2 + 8 + 64;
const NAME_AT = 34;
const NAME_BYTES = 64;
const XLOG_RESTORE_POINT = 0x70;
const DATA_SHORT = 255;

/** One segment, whose chunks are pushed in order. Memory: a page and a chunk. */
export class RestorePointSearch {
  readonly #name: Buffer;
  readonly #pages: WalPages;
  #head: Buffer | undefined;
  /** Of the content, which is the WAL without page headers: what may still be the beginning of a record. */
  #tail = Buffer.alloc(0);
  /** Bytes of content before `#tail`. */
  #before = 0;
  #lsn: bigint | undefined;

  /** `start`: byte position of the segment. */
  constructor(name: string, start: bigint) {
    this.#name = Buffer.from(`${name}\0`);
    this.#pages = new WalPages(start);
  }

  push(chunk: Uint8Array): void {
    const content = this.#pages.push(chunk);
    if (content.length > 0) this.#search(Buffer.concat([this.#tail, ...content]));
  }

  /** The content's first bytes: less than a record, and all that one from the segment before can have here. */
  get head(): Uint8Array {
    return this.#head ?? new Uint8Array(0);
  }

  /** Byte position of the last such record that begins here. `next`: head of the segment after it, if it is there. */
  finish(next: Uint8Array): bigint | undefined {
    if (!this.#pages.ended) this.#search(Buffer.concat([this.#tail, next]));
    return this.#lsn;
  }

  #search(content: Buffer): void {
    this.#head ??= Buffer.from(content.subarray(0, RECORD_BYTES - 1));
    for (let at = content.indexOf(this.#name); at !== -1; at = content.indexOf(this.#name, at + 1)) {
      const record = content.subarray(Math.max(0, at - NAME_AT), at - NAME_AT + RECORD_BYTES);
      const lsn = this.#pages.lsnOf(this.#before + at - NAME_AT);
      if (at >= NAME_AT && record.length === RECORD_BYTES && this.#isPoint(record, lsn)) this.#lsn = lsn;
    }
    const kept = content.subarray(Math.max(0, content.length - RECORD_BYTES + 1));
    this.#before += content.length - kept.length;
    this.#tail = Buffer.from(kept);
  }

  #isPoint(record: Buffer, lsn: bigint): boolean {
    const little = this.#pages.littleEndian;
    const length = little ? record.readUInt32LE(0) : record.readUInt32BE(0);
    const sum = little ? record.readUInt32LE(20) : record.readUInt32BE(20);
    return (
      lsn % 8n === 0n &&
      length === RECORD_BYTES &&
      read64(record, 8, little) < lsn &&
      ((record[16] ?? 0) & 0xf0) === XLOG_RESTORE_POINT &&
      record[17] === 0 &&
      record[24] === DATA_SHORT &&
      record[25] === RECORD_BYTES - 26 &&
      record.subarray(NAME_AT, NAME_AT + NAME_BYTES).indexOf(0) === this.#name.length - 1 &&
      crc32c(Buffer.concat([record.subarray(24), record.subarray(0, 20)])) === sum
    );
  }
}
