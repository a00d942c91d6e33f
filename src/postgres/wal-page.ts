/**
 * The header of a segment's first page (PostgreSQL: XLogLongPageHeaderData in xlog_internal.h), in the byte order of
 * the machine that wrote it:
 *
 *     0 u16 magic   2 u16 info   4 u32 timeline   8 u64 page address   16 u32 rest length
 *     24 u64 system identifier   32 u32 segment size   36 u32 page size
 */
import { DataError } from '../errors.ts';
import { formatLsn, isSegmentSize, segmentPosition, segmentTimeline } from './segment.ts';

/** Bytes of a segment's start that `checkSegment` must see. */
export const SEGMENT_HEAD_BYTES = 40;

const LONG_HEADER = 0x0002;
/** 0xD066 was PostgreSQL 9.1's; the number grows with the format, 0xD118 is 18's. */
const OLDEST_MAGIC = 0xd050;
const NEWEST_MAGIC = 0xdfff;

/**
 * A file called `name` (24 hex digits first, then perhaps `.partial`) of `size` bytes that starts with `head`: is it
 * that segment? Throws DataError when it is not. Its timeline may be older than its name says, since a new timeline
 * starts with a copy of the last segment of the old one, but not newer.
 */
export function checkSegment(name: string, size: number, head: Uint8Array): void {
  if (!isSegmentSize(size)) {
    throw wrong(name, `It has ${size} bytes, and a segment has a power of two from 1 MB to 1 GB.`);
  }
  const page = readWalPage(head);
  if (page === undefined) throw wrong(name, 'It does not start with the header of a WAL page.');
  if (page.segmentBytes !== size) {
    throw wrong(name, `It has ${size} bytes, and its header says ${page.segmentBytes}.`);
  }
  const { start } = segmentPosition(name, size);
  if (page.address !== start) {
    throw wrong(
      name,
      `By its name it starts at ${formatLsn(start)}, and its header says ${formatLsn(page.address)}.`,
    );
  }
  if (page.timeline > segmentTimeline(name)) {
    throw wrong(name, `Its header says timeline ${page.timeline}, which is newer than its name's.`);
  }
}

export interface WalPage {
  readonly timeline: number;
  readonly address: bigint;
  /** Decimal text, as in a sentinel. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

/** The header at the start of a segment; undefined when `head` is too short or does not start with one. */
export function readWalPage(head: Uint8Array): WalPage | undefined {
  if (head.length < SEGMENT_HEAD_BYTES) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, SEGMENT_HEAD_BYTES);
  const little = isMagic(view.getUint16(0, true));
  if (!little && !isMagic(view.getUint16(0, false))) return undefined;
  if ((view.getUint16(2, little) & LONG_HEADER) === 0) return undefined;
  return {
    timeline: view.getUint32(4, little),
    address: view.getBigUint64(8, little),
    systemIdentifier: String(view.getBigUint64(24, little)),
    segmentBytes: view.getUint32(32, little),
  };
}

function isMagic(magic: number): boolean {
  return magic >= OLDEST_MAGIC && magic <= NEWEST_MAGIC;
}

function wrong(name: string, detail: string): DataError {
  return new DataError(`not the WAL segment ${name}`, { detail });
}
