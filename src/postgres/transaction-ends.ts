/**
 * When transactions ended, as a WAL segment tells: the records of commits and aborts carry the time (xact.h), and it is
 * these that recovery compares with a target time. Records are walked by their lengths, each naming the one before it
 * (xlogrecord.h; alike in all versions from 9.5 on).
 */
import { read64, WalPages } from './wal-pages.ts';

export interface TransactionEnd {
  /** Where the record begins. */
  readonly lsn: bigint;
  readonly time: Date;
  readonly committed: boolean;
}

const HEADER = 24;
const RM_XACT_ID = 1;
const OPERATION = 0x70;
const COMMITS = [0x00, 0x30];
const ABORTS = [0x20, 0x40];
/** What may stand between header and data, and how long it is: its identifier and what follows. */
const BEFORE_DATA: ReadonlyMap<number, number> = new Map([
  [253, 3],
  [252, 5],
]);
const DATA_HEADERS: ReadonlyMap<number, number> = new Map([
  [255, 2],
  [254, 5],
]);
/** Up to the time, in the longest case. */
const HEAD_BYTES = HEADER + 3 + 5 + 5 + 8;
/** 2000-01-01 in Unix time. */
const EPOCH_MS = 946_684_800_000;

/** One segment, whose chunks are pushed in order. Memory: a page and a chunk. */
export class TransactionEnds {
  readonly #pages: WalPages;
  /** Of the content: from `#before` on. */
  #kept: Buffer = Buffer.alloc(0);
  #before = 0;
  /** Content offset of the record to be read next. */
  #next: number | undefined;
  #previous: bigint | undefined;
  #ended = false;
  #lost = false;

  /** `start`: byte position of the segment. */
  constructor(start: bigint) {
    this.#pages = new WalPages(start);
  }

  /** What came was no WAL, or no chain of records: what it ended with is not known. */
  get lost(): boolean {
    return this.#lost || this.#next === undefined;
  }

  push(chunk: Uint8Array): TransactionEnd[] {
    const content = this.#pages.push(chunk);
    if (content.length === 0 || this.#ended) return [];
    this.#next ??= aligned(this.#pages.rest);
    this.#kept = Buffer.concat([this.#kept, ...content]);
    const found: TransactionEnd[] = [];
    for (let end = this.#read(found); end !== undefined; end = this.#read(found)) this.#next = end;
    const drop = Math.min(this.#next - this.#before, this.#kept.length);
    this.#kept = this.#kept.subarray(drop);
    this.#before += drop;
    return found;
  }

  /** The next record; returns the content offset of the one behind it. */
  #read(found: TransactionEnd[]): number | undefined {
    const next = this.#next ?? 0;
    const record = this.#kept.subarray(next - this.#before, next - this.#before + HEAD_BYTES);
    if (record.length < HEAD_BYTES) return undefined;
    const little = this.#pages.littleEndian;
    const length = little ? record.readUInt32LE(0) : record.readUInt32BE(0);
    const lsn = this.#pages.lsnOf(next);
    const isNext = this.#previous === undefined || read64(record, 8, little) === this.#previous;
    if (length < HEADER || !isNext) {
      this.#ended = true;
      // What follows the last record is zeros.
      this.#lost = length !== 0;
      return undefined;
    }
    this.#previous = lsn;
    const end = endIn(record, little);
    if (end !== undefined) found.push({ lsn, ...end });
    return next + aligned(length);
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function endIn(record: Buffer, little: boolean): Omit<TransactionEnd, 'lsn'> | undefined {
  const operation = (record[16] ?? 0) & OPERATION;
  const committed = COMMITS.includes(operation);
  if (record[17] !== RM_XACT_ID || !(committed || ABORTS.includes(operation))) return undefined;
  let at = HEADER;
  for (
    let skip = BEFORE_DATA.get(record[at] ?? 0);
    skip !== undefined;
    skip = BEFORE_DATA.get(record[at] ?? 0)
  )
    at += skip;
  const head = DATA_HEADERS.get(record[at] ?? 0);
  if (head === undefined || at + head + 8 > record.length) return undefined;
  const microseconds = BigInt.asIntN(64, read64(record, at + head, little));
  return { time: new Date(EPOCH_MS + Math.floor(Number(microseconds) / 1000)), committed };
}
