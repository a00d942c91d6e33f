/**
 * A time at which the server was on a timeline that was left later, and further along it than where it was left: after a
 * restore that went too far back, say. Recovery along the newer timeline then stops, without an error, at a state that
 * the server had before that time.
 */
import { walKey } from '../archive/layout.ts';
import type { BackupPosition } from '../archive/restorability.ts';
import { type Ancestor, historyName } from '../archive/timeline.ts';
import { indexOfLsn } from '../archive/wal-inventory.ts';
import type { Log } from '../log.ts';
import { formatLsn } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';
import { segmentAt, type Wal } from './archived-wal.ts';

/** The timeline that recovery follows, and the time at which it is to stop. */
export interface Aim {
  readonly timeline: number;
  readonly time: Date;
}

export async function warnIfGivenUp(
  store: Store,
  position: BackupPosition,
  aim: Aim,
  wal: Wal,
  call: Call & { readonly log: Log },
): Promise<void> {
  const ancestors = wal.tree.history(aim.timeline)?.ancestors ?? [];
  for (const [i, ancestor] of ancestors.entries()) {
    if (ancestor.timeline < position.timeline) continue;
    const child = ancestors[i + 1]?.timeline ?? aim.timeline;
    const began = await storedAt(store, historyName(child), call);
    if (began === undefined || aim.time >= began) continue;
    if (!(await wasPast(store, ancestors.slice(0, i + 1), aim.time, wal, call))) return;
    call.log.warning('at the time of the target the server was on another timeline', {
      detail: `Timeline ${child} left timeline ${ancestor.timeline} at ${formatLsn(ancestor.end)}; its history was stored at ${began.toISOString()}, after the target. What timeline ${ancestor.timeline} did after that position until then is not recovered.`,
      hint: `With --target-timeline ${ancestor.timeline} it is.`,
    });
    return;
  }
}

/**
 * Whether the last of these timelines went on behind the position at which it was left, and may have been there at that
 * time: the segment before was stored by then. What is in one segment has no times that a listing tells.
 */
async function wasPast(
  store: Store,
  ancestors: readonly Ancestor[],
  time: Date,
  { coverage }: Wal,
  call: Call,
): Promise<boolean> {
  const left = ancestors.at(-1);
  if (left === undefined) return false;
  const index = indexOfLsn(left.end, coverage.segmentBytes);
  if (!coverage.has(left.timeline, index)) return false;
  const before = ancestors.findLast(({ timeline }) => coverage.has(timeline, index - 1));
  if (before === undefined) return true;
  const name = segmentAt({ timeline: before.timeline, index: index - 1 }, coverage);
  const stored = await storedAt(store, name, call);
  return stored === undefined || time > stored;
}

async function storedAt(store: Store, name: string, call: Call): Promise<Date | undefined> {
  return (await store.head(walKey(name), call))?.modified;
}
