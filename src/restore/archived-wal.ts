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
  const tree = new TimelineTree([]);
  for (const prefix of prefixes) {
    for await (const page of store.list(prefix, call)) {
      for (const { key } of page) {
        const kind = classifyKey(key);
        if (kind.kind !== 'wal') continue;
        if (walFileKind(kind.name) === 'segment') inventory.add(kind.name);
        const timeline = historyTimeline(kind.name);
        const history = timeline === undefined ? undefined : await readHistory(store, timeline, call);
        if (history instanceof UserError) throw history;
        if (history !== undefined) tree.add(history);
      }
    }
  }
  if (segmentBytes !== undefined) return { coverage: inventory.sized(segmentBytes), tree };
  const seen = (await sizeSeenIn(store, inventory, call)) ?? ASSUMED;
  const { bytes } = comparableSize(seen, [], inventory.largestInLog);
  return { coverage: inventory.sized(bytes), tree };
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
