/** WAL segments without a server: right in everything that wal-e looks at, with seeded content behind the header. */
import { segmentPosition, segmentTimeline } from '../../src/postgres/segment.ts';
import { seededBytes } from './random.ts';

export interface HeadOptions {
  readonly littleEndian?: boolean;
  /** The name's when left out. */
  readonly timeline?: number;
  readonly systemIdentifier?: bigint;
}

const NOISE_BYTES = 1024 * 1024;

/** The first 8 kB of the segment. */
export function segmentHead(name: string, segmentBytes: number, options: HeadOptions = {}): Buffer {
  const little = options.littleEndian ?? true;
  const page = Buffer.alloc(8192);
  const view = new DataView(page.buffer, page.byteOffset);
  view.setUint16(0, 0xd118, little);
  view.setUint16(2, 0x0002, little);
  view.setUint32(4, options.timeline ?? segmentTimeline(name), little);
  view.setBigUint64(8, segmentPosition(name, segmentBytes).start, little);
  view.setBigUint64(24, options.systemIdentifier ?? 7_000_000_000_000_000_001n, little);
  view.setUint32(32, segmentBytes, little);
  view.setUint32(36, 8192, little);
  return page;
}

/** A whole segment: half of each page's bytes is noise, so it compresses about as WAL does. */
export function segmentBytes(name: string, size: number, seed: number, options: HeadOptions = {}): Buffer {
  const segment = Buffer.alloc(size);
  const noise = seededBytes(NOISE_BYTES, seed);
  for (let page = 1; page * 8192 < size; page += 1) {
    segment.set(noise.subarray((page * 4096) % NOISE_BYTES).subarray(0, 4096), page * 8192);
    segment.writeUInt32LE(page, page * 8192);
  }
  segment.set(segmentHead(name, size, options));
  return segment;
}

export interface TransactionRecord {
  /** In the segment's first page, a multiple of 8. */
  readonly at: number;
  readonly time: Date;
  readonly committed: boolean;
}

const XLOG_FPI = 0xb0;
const XLOG_XACT_COMMIT = 0x00;
const XLOG_XACT_ABORT = 0x20;

/** A segment of 16 MB whose first page holds records of commits and rollbacks, others between them, and no more (xlogrecord.h). */
export function transactionSegment(name: string, records: readonly TransactionRecord[]): Buffer {
  const size = 16 * 1024 * 1024;
  const segment = Buffer.alloc(size);
  segment.set(segmentHead(name, size));
  const { start } = segmentPosition(name, size);
  let end = 40;
  let previous = 0;
  const add = (length: number, info: number, resource: number) => {
    segment.writeUInt32LE(length, end);
    segment.writeBigUInt64LE(previous === 0 ? start - 24n : start + BigInt(previous), end + 8);
    segment.set([info, resource], end + 16);
    previous = end;
    end += Math.ceil(length / 8) * 8;
  };
  for (const { at, time, committed } of records) {
    add(at - end, XLOG_FPI, 0);
    segment.set([255, 8], at + 24);
    segment.writeBigInt64LE(BigInt(time.getTime() - Date.UTC(2000, 0)) * 1000n, at + 26);
    add(34, committed ? XLOG_XACT_COMMIT : XLOG_XACT_ABORT, 1);
  }
  return segment;
}
