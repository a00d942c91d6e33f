/** The WAL that an archive holds, as its listing tells: segments, timelines and where they branch. */
import { classifyKey } from '../archive/layout.ts';
import { comparableSize, type SegmentSize, sizeSeenIn } from '../archive/segment-size.ts';
import { readHistory } from '../archive/survey.ts';
import { historyTimeline, TimelineTree } from '../archive/timeline.ts';
import { type WalCoverage, WalInventory } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import { DEFAULT_SEGMENT_BYTES, segmentName, walFileKind } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';
import type { RecoveryTarget } from './recovery-target.ts';

export interface Wal {
  readonly coverage: WalCoverage;
  /** Of these the segments that are in cold storage, from where they may have to be brought back before they can be read. */
  readonly cold: WalCoverage;
  readonly tree: TimelineTree;
}

const ASSUMED: SegmentSize = { bytes: DEFAULT_SEGMENT_BYTES, source: 'assumed' };

/** `segmentBytes` undefined: what the newest segments tell, else the names; PostgreSQL's default where neither does. */
export async function readWal(
  store: Store,
  prefixes: readonly string[],
  segmentBytes: number | undefined,
  call: Call,
): Promise<Wal> {
  const inventory = new WalInventory();
  const cold = new WalInventory();
  const tree = new TimelineTree([]);
  for (const prefix of prefixes) {
    for await (const page of store.list(prefix, call)) {
      for (const { key, coldClass } of page) {
        const kind = classifyKey(key);
        if (kind.kind !== 'wal') continue;
        const isSegment = walFileKind(kind.name) === 'segment';
        if (isSegment) inventory.add(kind.name);
        if (isSegment && coldClass !== undefined) cold.add(kind.name);
        const timeline = historyTimeline(kind.name);
        const history = timeline === undefined ? undefined : await readHistory(store, timeline, call);
        if (history instanceof UserError) throw history;
        if (history !== undefined) tree.add(history);
      }
    }
  }
  const sized = (bytes: number) => ({ coverage: inventory.sized(bytes), cold: cold.sized(bytes), tree });
  if (segmentBytes !== undefined) return sized(segmentBytes);
  const seen = (await sizeSeenIn(store, inventory, call)) ?? ASSUMED;
  return sized(comparableSize(seen, [], inventory.largestInLog).bytes);
}

/** The name of a segment. */
export function segmentAt(
  { timeline, index }: { readonly timeline: number; readonly index: number },
  { segmentBytes }: WalCoverage,
): string {
  return segmentName(timeline, BigInt(index) * BigInt(segmentBytes), segmentBytes);
}

/** PostgreSQL takes for `latest` the last of the history files that follow one another without a gap (findNewestTimeLine). */
export function wantedTimeline(own: number, wanted: RecoveryTarget['timeline'], tree: TimelineTree): number {
  if (typeof wanted === 'number') return wanted;
  let newest = own;
  while (wanted === 'latest' && tree.history(newest + 1) !== undefined) newest += 1;
  return newest;
}
