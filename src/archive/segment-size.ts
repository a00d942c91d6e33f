/**
 * The WAL segment size of an archive. Only our own sentinels state it; for the original's archives it follows from
 * names (a log that ended shows how many segments it holds) or from the first page of any segment.
 */
import { DEFAULT_SEGMENT_BYTES, isSegmentSize, LOG_BYTES } from '../postgres/segment.ts';
import { readWalPage, SEGMENT_HEAD_BYTES } from '../postgres/wal-page.ts';
import type { Call, Store } from '../store/store.ts';
import { type BackupHead, ownFacts } from './catalog.ts';
import { walKey } from './layout.ts';
import { orUnreadable, readPlainHead } from './plain-object.ts';
import type { WalInventory } from './wal-inventory.ts';

export interface SegmentSize {
  readonly bytes: number;
  /** `assumed`: nothing in the archive tells, and PostgreSQL's default fits the names. */
  readonly source: 'sentinel' | 'names' | 'contents' | 'assumed';
}

/** Segments whose first page is looked at before the size is assumed. */
const PROBED_SEGMENTS = 3;

/** The size by sentinels, else by the first page of a segment, else the default: to be checked against the names. */
export async function segmentSizeOf(
  store: Store,
  backups: readonly Pick<BackupHead, 'reading'>[],
  segments: readonly string[],
  call: Call,
): Promise<SegmentSize> {
  return (
    sizeFromSentinels(backups) ??
    (await sizeFromContents(store, segments.slice(-PROBED_SEGMENTS).reverse(), call)) ?? {
      bytes: DEFAULT_SEGMENT_BYTES,
      source: 'assumed',
    }
  );
}

/** What the WAL itself shows where neither a sentinel nor the start of a backup told: its contents, else its names. */
export async function sizeSeenIn(
  store: Store,
  inventory: WalInventory,
  call: Call,
): Promise<SegmentSize | undefined> {
  const newest = inventory.newest.slice(0, PROBED_SEGMENTS);
  return (await sizeFromContents(store, newest, call)) ?? sizeFromNames(inventory);
}

/** Of the first of `segments` that is archived and can be read here. */
async function sizeFromContents(
  store: Store,
  segments: readonly string[],
  call: Call,
): Promise<SegmentSize | undefined> {
  for (const segment of segments) {
    const head = await orUnreadable(
      () => readPlainHead(store, walKey(segment), { bytes: SEGMENT_HEAD_BYTES, ...call }),
      call,
    );
    const page = head instanceof Buffer ? readWalPage(head) : undefined;
    if (page !== undefined && isSegmentSize(page.segmentBytes))
      return { bytes: page.segmentBytes, source: 'contents' };
  }
  return undefined;
}

/** What the newest of our own sentinels states. */
function sizeFromSentinels(backups: Iterable<Pick<BackupHead, 'reading'>>): SegmentSize | undefined {
  let newest: { readonly bytes: number; readonly finish: number } | undefined;
  for (const backup of backups) {
    const own = ownFacts(backup);
    if (own === undefined) continue;
    const finish = Date.parse(own.finishTime);
    if (newest === undefined || finish > newest.finish) newest = { bytes: own.segmentBytes, finish };
  }
  return newest === undefined ? undefined : { bytes: newest.bytes, source: 'sentinel' };
}

/** undefined unless some log is seen to end and the next to begin, or the default has no room for the names. */
function sizeFromNames(inventory: WalInventory): SegmentSize | undefined {
  const bytes = largestFitting(inventory.largestInLog);
  const telling = inventory.rollsOverAfter(inventory.largestInLog) || bytes < DEFAULT_SEGMENT_BYTES;
  return isSegmentSize(bytes) && telling ? { bytes, source: 'names' } : undefined;
}

/**
 * A size with which names compare as their positions do, also where systems with different sizes have used the archive
 * or a sentinel states a wrong one: with a size that has no room for some name, the first segments of a log would seem
 * to come before the last ones of the log before it; a size that is too small only leaves numbers unused.
 * `largestInLog`: the largest number in a log that any name spells.
 */
export function comparableSize(
  size: SegmentSize,
  backups: Iterable<Pick<BackupHead, 'reading'>>,
  largestInLog: number,
): SegmentSize {
  let { bytes } = size;
  for (const backup of backups) bytes = Math.min(bytes, ownFacts(backup)?.segmentBytes ?? bytes);
  const fitting = largestFitting(largestInLog);
  return fitting < bytes ? { bytes: fitting, source: 'names' } : { ...size, bytes };
}

function largestFitting(largestInLog: number): number {
  return LOG_BYTES / 2 ** Math.ceil(Math.log2(largestInLog + 1));
}
