/** One pass over the WAL tree that counts what stays and what goes, in memory that grows with the gaps only. */
import { type Key, WAL_PREFIX } from '../archive/layout.ts';
import { ForeignCount, type ForeignObjects, readHistory } from '../archive/survey.ts';
import { historyTimeline, type TimelineTree } from '../archive/timeline.ts';
import { WalInventory } from '../archive/wal-inventory.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';
import { type WalFate, type WalSelection, walFate } from './wal-selection.ts';

export interface Amount {
  objects: number;
  bytes: number;
}

export interface WalTally {
  /** Segments before and after; before, without those that are another system's than their names say. */
  readonly before: WalInventory;
  readonly after: WalInventory;
  /** Segments that go. */
  readonly removed: WalInventory;
  /** How many of them only their dates show to be another system's. */
  readonly replaced: number;
  readonly remove: Amount;
  readonly keep: Amount;
  /** Part of `keep`: on branches that no kept backup leads to. */
  readonly beside: Amount;
  /** Keys that are no WAL file's. */
  readonly foreign: ForeignObjects;
  /** The last key that goes. */
  readonly lastRemoved: Key | undefined;
  /** Of the segments that go the one that was archived last. */
  readonly newestRemoved: ObjectInfo | undefined;
  /** Date of the newest object seen, ms; 0 when there is none. */
  readonly newest: number;
}

/**
 * `tree` learns the histories that pass: a timeline's history file is listed just before its segments. A history that
 * cannot be read leaves its timeline unknown, which only makes more WAL needed.
 */
export async function tallyWal(
  store: Store,
  selection: WalSelection,
  tree: TimelineTree,
  call: Call,
): Promise<WalTally> {
  const tally: Counting = {
    before: new WalInventory(),
    after: new WalInventory(),
    removed: new WalInventory(),
    replaced: 0,
    remove: { objects: 0, bytes: 0 },
    keep: { objects: 0, bytes: 0 },
    beside: { objects: 0, bytes: 0 },
    foreign: new ForeignCount(),
    lastRemoved: undefined,
    newestRemoved: undefined,
    newest: 0,
  };
  for await (const page of store.list(WAL_PREFIX, call))
    for (const object of page) {
      const fate = walFate(object, selection);
      if (fate.kind === 'history') await learn(store, historyTimeline(fate.name) ?? 1, tree, call);
      count(tally, fate, object);
      tally.newest = Math.max(tally.newest, object.modified.getTime());
    }
  return tally;
}

interface Counting extends WalTally {
  readonly foreign: ForeignCount;
  replaced: number;
  lastRemoved: Key | undefined;
  newestRemoved: ObjectInfo | undefined;
  newest: number;
}

/** Adds the history of `timeline` to the tree, if it is there and can be read. */
export async function learn(store: Store, timeline: number, tree: TimelineTree, call: Call): Promise<void> {
  if (timeline === 1 || tree.history(timeline) !== undefined) return;
  const history = await readHistory(store, timeline, call);
  if (history !== undefined && 'ancestors' in history) tree.add(history);
}

function count(tally: Counting, fate: WalFate, object: ObjectInfo): void {
  if (fate.kind === 'segment') {
    if (fate.verdict === 'replaced') tally.replaced += 1;
    else tally.before.add(fate.name);
    (fate.remove ? tally.removed : tally.after).add(fate.name);
    const { newestRemoved } = tally;
    if (fate.remove && (newestRemoved === undefined || object.modified > newestRemoved.modified))
      tally.newestRemoved = object;
  }
  const amounts = [fate.remove ? tally.remove : tally.keep];
  if (fate.verdict === 'beside' && !fate.remove) amounts.push(tally.beside);
  if (fate.remove) tally.lastRemoved = object.key;
  if (fate.kind === 'foreign') tally.foreign.add(object);
  for (const amount of amounts) {
    amount.objects += 1;
    amount.bytes += object.size;
  }
}
