/**
 * The WAL segment size of an archive. Only our own sentinels state it; for the original's archives it follows from
 * names (a log that ended shows how many segments it holds) or from the first page of any segment.
 */
import { DEFAULT_SEGMENT_BYTES, isSegmentSize, MIN_SEGMENT_BYTES } from '../postgres/segment.ts';
import type { KnownBackup } from './catalog.ts';
import type { WalInventory } from './wal-inventory.ts';

export interface SegmentSize {
  readonly bytes: number;
  /** `assumed`: nothing in the archive tells, and PostgreSQL's default fits the names. */
  readonly source: 'sentinel' | 'names' | 'contents' | 'assumed';
}

const LOG_BYTES = 2 ** 32;

/** What the newest of our own sentinels states. */
export function sizeFromSentinels(backups: Iterable<KnownBackup>): SegmentSize | undefined {
  let newest: { readonly bytes: number; readonly finish: number } | undefined;
  for (const { reading } of backups) {
    const own = reading.kind === 'read' ? reading.sentinel.own : undefined;
    if (own === undefined) continue;
    const finish = Date.parse(own.finishTime);
    if (newest === undefined || finish > newest.finish) newest = { bytes: own.segmentBytes, finish };
  }
  return newest === undefined ? undefined : { bytes: newest.bytes, source: 'sentinel' };
}

/** undefined unless some log is seen to end and the next to begin. */
export function sizeFromNames(inventory: WalInventory): SegmentSize | undefined {
  const bytes = LOG_BYTES / 2 ** Math.ceil(Math.log2(inventory.largestInLog + 1));
  return isSegmentSize(bytes) && inventory.rollsOverAfter(inventory.largestInLog)
    ? { bytes, source: 'names' }
    : undefined;
}

/** The default, or the largest size that the names allow when they spell numbers the default has no room for. */
export function assumedSize(inventory: WalInventory): SegmentSize {
  const largest = LOG_BYTES / 2 ** Math.ceil(Math.log2(inventory.largestInLog + 1));
  const bytes = Math.max(Math.min(DEFAULT_SEGMENT_BYTES, largest), MIN_SEGMENT_BYTES);
  return { bytes, source: 'assumed' };
}
