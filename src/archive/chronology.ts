/**
 * Which backup is newer. Our sentinels state when a backup was finished; of the original's only the date of the
 * sentinel object is known, and a copied archive has new dates. Along one history a later backup starts at a higher
 * WAL position, so dates that contradict positions are not believed: then the label files among the WAL are asked
 * (see backup-label.ts). What still contradicts is handed on: delete refuses to guess.
 */
import { segmentTimeline } from '../postgres/segment.ts';
import { type BackupHead, type KnownBackup, ownFacts } from './catalog.ts';
import { backupSegment } from './layout.ts';
import { isMisnamed } from './misnamed.ts';
import type { TimelineTree } from './timeline.ts';
import { indexOfLsn, segmentIndex } from './wal-inventory.ts';

/** A complete backup (it has a sentinel) and when it was finished. */
export interface DatedBackup<Backup extends BackupHead = KnownBackup> {
  readonly backup: Backup;
  readonly finished: Date;
  /** Where the time comes from; `object`: the date of the sentinel in the store. */
  readonly source: 'sentinel' | 'label' | 'object';
}

const LABELS_AT_ONCE = 16;

/** The clocks of the store and of database hosts may differ by less; by more, one of them was wrong. */
export const CLOCK_TOLERANCE_MS = 24 * 60 * 60 * 1000;

/** The finish time that the label file among the WAL tells, if there is one and it does. */
export type LabelTime = (backup: BackupHead) => Promise<Date | undefined>;

type AnyDated = DatedBackup<BackupHead>;

/** Complete backups, oldest first; among equals by name. `labelTime` is called only where dates contradict positions. */
export async function chronology<Backup extends BackupHead>(
  backups: readonly Backup[],
  labelTime: LabelTime,
): Promise<readonly DatedBackup<Backup>[]> {
  const dated = backups.flatMap(dateOf).sort(byName);
  if (firstContradiction(dated.filter(isPlaced)) === undefined) return dated.sort(byTime);
  const asked: DatedBackup<Backup>[] = [];
  for (let next = 0; next < dated.length; next += LABELS_AT_ONCE) {
    const some = dated.slice(next, next + LABELS_AT_ONCE);
    asked.push(...(await Promise.all(some.map((entry) => withLabelTime(entry, labelTime)))));
  }
  return asked.sort(byTime);
}

/** A name that tells no position contradicts no date. */
function isPlaced({ backup }: AnyDated): boolean {
  return !isMisnamed(backup);
}

async function withLabelTime<Backup extends BackupHead>(
  entry: DatedBackup<Backup>,
  labelTime: LabelTime,
): Promise<DatedBackup<Backup>> {
  const finished = entry.source === 'object' ? await labelTime(entry.backup) : undefined;
  return finished === undefined ? entry : { ...entry, finished, source: 'label' };
}

/** The label gives the lie to the date of the sentinel object: the archive was copied. */
export function hasWrongDate({ backup, finished, source }: AnyDated): boolean {
  if (source !== 'label' || backup.sentinel === undefined) return false;
  return Math.abs(backup.sentinel.modified.getTime() - finished.getTime()) > CLOCK_TOLERANCE_MS;
}

/** No backup was finished after its sentinel was stored: what says so had a wrong clock. */
function dateOf<Backup extends BackupHead>(backup: Backup): DatedBackup<Backup>[] {
  if (backup.sentinel === undefined || backup.reading.kind === 'absent') return [];
  const { modified } = backup.sentinel;
  const own = ownFacts(backup);
  const stated = own === undefined ? undefined : new Date(own.finishTime);
  if (stated === undefined || stated.getTime() > modified.getTime() + CLOCK_TOLERANCE_MS)
    return [{ backup, finished: modified, source: 'object' }];
  return [{ backup, finished: stated, source: 'sentinel' }];
}

function byName(a: AnyDated, b: AnyDated): number {
  return a.backup.name < b.backup.name ? -1 : 1;
}

function byTime(a: AnyDated, b: AnyDated): number {
  return a.finished.getTime() - b.finished.getTime() || byName(a, b);
}

/** Two backups of which the one with the lower WAL position seems to be the newer one. */
export interface Contradiction {
  readonly lower: AnyDated;
  readonly higher: AnyDated;
  /** Of the lower and of the higher one: when they were finished, or when they were started. */
  readonly times: readonly [Date, Date];
}

/** `ascending`: by WAL position. Of two times that are both stated by sentinels each is its own system's matter. */
function firstContradiction(ascending: readonly AnyDated[]): Contradiction | undefined {
  let newest: AnyDated | undefined;
  let newestUnstated: AnyDated | undefined;
  for (const group of bySegment(ascending)) {
    for (const higher of group) {
      const lower = higher.source === 'sentinel' ? newestUnstated : newest;
      if (lower !== undefined && lower.finished > higher.finished)
        return { lower, higher, times: [lower.finished, higher.finished] };
    }
    newest = latest(newest, group);
    newestUnstated = latest(
      newestUnstated,
      group.filter(({ source }) => source !== 'sentinel'),
    );
  }
  return undefined;
}

function latest(known: AnyDated | undefined, group: readonly AnyDated[]): AnyDated | undefined {
  return group.reduce(
    (found, entry) => (found === undefined || entry.finished > found.finished ? entry : found),
    known,
  );
}

/**
 * A pair of one system whose sentinels state that the one that starts higher in the WAL started earlier, by more than
 * clocks that are merely not the same. When a backup was finished says nothing here: a slow one is overtaken by others.
 */
function statedContradiction(ascending: readonly AnyDated[]): Contradiction | undefined {
  const newestOf = new Map<string, Stated>();
  for (const group of bySegment(ascending)) {
    const stated = group.flatMap(statedStart);
    for (const { entry: higher, started, system } of stated) {
      const lower = newestOf.get(system);
      if (lower !== undefined && lower.started > started + CLOCK_TOLERANCE_MS)
        return { lower: lower.entry, higher, times: [new Date(lower.started), new Date(started)] };
    }
    for (const one of stated)
      if (one.started > (newestOf.get(one.system)?.started ?? Number.NEGATIVE_INFINITY))
        newestOf.set(one.system, one);
  }
  return undefined;
}

interface Stated {
  readonly entry: AnyDated;
  readonly system: string;
  /** ms */
  readonly started: number;
}

function statedStart(entry: AnyDated): Stated[] {
  const own = ownFacts(entry.backup);
  if (entry.source !== 'sentinel' || own === undefined) return [];
  return [{ entry, system: own.systemIdentifier, started: Date.parse(own.startTime) }];
}

/** Backups that start in one segment are not ordered by their names: one group. */
function bySegment(ascending: readonly AnyDated[]): AnyDated[][] {
  const groups: AnyDated[][] = [];
  for (const entry of ascending) {
    const last = groups.at(-1);
    const isBeside = last?.some(
      ({ backup }) => backupSegment(backup.name) === backupSegment(entry.backup.name),
    );
    if (last !== undefined && isBeside) last.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

/** A pair on one history whose times and positions disagree, if there is one. */
export function contradiction(
  dated: readonly AnyDated[],
  tree: TimelineTree,
  segmentBytes: number,
): Contradiction | undefined {
  const positions = dated.filter(isPlaced).map((entry) => ({ entry, ...positionOf(entry, segmentBytes) }));
  for (const line of new Set([...positions.map(({ timeline }) => timeline), ...tree.timelines])) {
    const onLine = positions.filter(({ timeline, index }) => {
      const left = tree.left(timeline, line);
      return left === 'itself' || (left !== undefined && index <= indexOfLsn(left, segmentBytes));
    });
    onLine.sort((a, b) => a.index - b.index || byName(a.entry, b.entry));
    const ascending = onLine.map(({ entry }) => entry);
    const found = firstContradiction(ascending) ?? statedContradiction(ascending);
    if (found !== undefined) return found;
  }
  return undefined;
}

function positionOf({ backup }: AnyDated, segmentBytes: number): { timeline: number; index: number } {
  const segment = backupSegment(backup.name);
  return { timeline: segmentTimeline(segment), index: segmentIndex(segment, segmentBytes) };
}
