/**
 * WAL file names and positions. A segment name is three groups of 8 hex digits: timeline, log, segment in the log;
 * a log is 4 GiB, so it holds 4 GiB / segment size segments (PostgreSQL: XLogFileName in xlog_internal.h).
 */

export const MIN_SEGMENT_BYTES = 1024 * 1024;
export const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;
export const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;

/** Bytes of WAL in a log. */
export const LOG_BYTES = 2 ** 32;
/** Of the last segment in a log when segments are as small as they can be. */
export const MAX_NUMBER_IN_LOG = LOG_BYTES / MIN_SEGMENT_BYTES - 1;
const SEGMENT_NAME = /^[0-9A-F]{24}$/;
const PARTIAL_NAME = /^[0-9A-F]{24}\.partial$/;
const HISTORY_NAME = /^[0-9A-F]{8}\.history$/;
const BACKUP_LABEL_NAME = /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/;

export type WalFileKind = 'segment' | 'partial' | 'history' | 'backup' | 'other';

/** What PostgreSQL means by a file of this base name in pg_wal. */
export function walFileKind(name: string): WalFileKind {
  if (SEGMENT_NAME.test(name)) return 'segment';
  if (PARTIAL_NAME.test(name)) return 'partial';
  if (HISTORY_NAME.test(name)) return 'history';
  if (BACKUP_LABEL_NAME.test(name)) return 'backup';
  return 'other';
}

export interface SegmentPosition {
  readonly timeline: number;
  /** Byte position of the segment's first byte in the WAL. */
  readonly start: bigint;
}

/** Reads the first 24 characters of a segment, partial or backup-label file name. */
export function segmentPosition(name: string, segmentBytes: number): SegmentPosition {
  const log = BigInt(`0x${name.slice(8, 16)}`);
  const inLog = BigInt(`0x${name.slice(16, 24)}`);
  return { timeline: segmentTimeline(name), start: log * BigInt(LOG_BYTES) + inLog * BigInt(segmentBytes) };
}

/** Of a WAL file of any kind: its name begins with it. */
export function segmentTimeline(name: string): number {
  return Number.parseInt(name.slice(0, 8), 16);
}

/** Name of the segment that holds byte `lsn` (PostgreSQL's pg_walfile_name differs only exactly at a boundary). */
export function segmentName(timeline: number, lsn: bigint, segmentBytes: number): string {
  const log = lsn / BigInt(LOG_BYTES);
  const inLog = (lsn % BigInt(LOG_BYTES)) / BigInt(segmentBytes);
  return hex8(timeline) + hex8(log) + hex8(inLog);
}

/** The `count` names that follow `name` on its timeline. */
export function followingSegments(name: string, count: number, segmentBytes: number): string[] {
  const { timeline, start } = segmentPosition(name, segmentBytes);
  const size = BigInt(segmentBytes);
  return Array.from({ length: count }, (_, i) =>
    segmentName(timeline, start + size * BigInt(i + 1), segmentBytes),
  );
}

export function isSegmentSize(bytes: number): boolean {
  return bytes >= MIN_SEGMENT_BYTES && bytes <= MAX_SEGMENT_BYTES && Number.isInteger(Math.log2(bytes));
}

/** `16/B374D848`, as PostgreSQL prints a pg_lsn. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** undefined when the text is not a pg_lsn. */
export function parseLsn(text: string): bigint | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  return match === null ? undefined : (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** As the parts of a segment's name are written. */
export function hex8(value: number | bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
