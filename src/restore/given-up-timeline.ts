/**
 * A time at which the server was on a timeline that was left later, and further along it than where it was left: after a
 * restore that went too far back, say. Recovery along the newer timeline then stops, without an error, at a state that
 * the server had before that time.
 */
import { walKey } from '../archive/layout.ts';
import { openPlain, orUnreadable } from '../archive/plain-object.ts';
import type { BackupPosition } from '../archive/restorability.ts';
import { type Ancestor, historyName } from '../archive/timeline.ts';
import { indexOfLsn } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatLsn } from '../postgres/segment.ts';
import { TransactionEnds } from '../postgres/transaction-ends.ts';
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
 * Whether the last of these timelines has done anything behind the position at which it was left, by that time. Where
 * the segment before was stored by then, the segment of the switch tells by its transactions.
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
  if (before !== undefined) {
    const name = segmentAt({ timeline: before.timeline, index: index - 1 }, coverage);
    const stored = await storedAt(store, name, call);
    if (stored !== undefined && time <= stored) return false;
  }
  const name = segmentAt({ timeline: left.timeline, index }, coverage);
  const ends = new TransactionEnds(BigInt(index) * BigInt(coverage.segmentBytes));
  const found = await orUnreadable(
    () => commitsBehind(left.end, time, openPlain(store, walKey(name), call), ends),
    call,
  );
  // What the segment does not tell may have been.
  if (found instanceof UserError || found === 'unknown') return true;
  return found === 'some' || (found === 'none' && coverage.has(left.timeline, index + 1));
}

/**
 * `some`: a transaction in the segment was committed behind `end`, by that time. `over`: one ended later than that time
 * first, and since recovery compares each with its target, it ends there and misses nothing of what comes. `none`: the
 * segment ends before either. `unknown`: the segment makes no sense.
 */
async function commitsBehind(
  end: bigint,
  time: Date,
  segment: ReturnType<typeof openPlain>,
  ends: TransactionEnds,
): Promise<'some' | 'over' | 'none' | 'unknown'> {
  for await (const chunk of (await segment) ?? [])
    for (const { lsn, time: ended, committed } of ends.push(chunk)) {
      if (ended > time) return 'over';
      if (lsn >= end && committed) return 'some';
    }
  return ends.lost ? 'unknown' : 'none';
}

async function storedAt(store: Store, name: string, call: Call): Promise<Date | undefined> {
  return (await store.head(walKey(name), call))?.modified;
}
