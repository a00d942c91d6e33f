/**
 * Which backup is newer. Our sentinels state when a backup was finished; of the original's only the date of the
 * sentinel object is known, and a copied archive has new dates. Along one history a later backup starts at a higher
 * WAL position, so dates that contradict positions are not believed: then the label files among the WAL are asked
 * (see backup-label.ts). What still contradicts is handed on: delete refuses to guess.
 */
import type { BackupHead, KnownBackup } from './catalog.ts';
import { backupSegment } from './layout.ts';
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

/** The finish time that the label file among the WAL tells, if there is one and it does. */
export type LabelTime = (backup: BackupHead) => Promise<Date | undefined>;

type AnyDated = DatedBackup<BackupHead>;

/** Complete backups, oldest first; among equals by name. `labelTime` is called only where dates contradict positions. */
export async function chronology<Backup extends BackupHead>(
  backups: readonly Backup[],
  labelTime: LabelTime,
): Promise<readonly DatedBackup<Backup>[]> {
  const dated = backups.flatMap(dateOf).sort(byName);
  if (firstContradiction(dated) === undefined) return dated.sort(byTime);
  const asked: DatedBackup<Backup>[] = [];
  for (let next = 0; next < dated.length; next += LABELS_AT_ONCE) {
    const some = dated.slice(next, next + LABELS_AT_ONCE);
    asked.push(...(await Promise.all(some.map((entry) => withLabelTime(entry, labelTime)))));
  }
  return asked.sort(byTime);
}

async function withLabelTime<Backup extends BackupHead>(
  entry: DatedBackup<Backup>,
  labelTime: LabelTime,
): Promise<DatedBackup<Backup>> {
  const finished = entry.source === 'object' ? await labelTime(entry.backup) : undefined;
  return finished === undefined ? entry : { ...entry, finished, source: 'label' };
}

/** The newest complete backup, of those finished by `until` when it is given. */
export function newestBackup<Backup extends BackupHead>(
  dated: readonly DatedBackup<Backup>[],
  until?: Date,
): DatedBackup<Backup> | undefined {
  return dated.filter(({ finished }) => until === undefined || finished <= until).at(-1);
}

function dateOf<Backup extends BackupHead>(backup: Backup): DatedBackup<Backup>[] {
  if (backup.sentinel === undefined || backup.reading.kind === 'absent') return [];
  const own = backup.reading.kind === 'read' ? backup.reading.sentinel.own : undefined;
  if (own === undefined) return [{ backup, finished: backup.sentinel.modified, source: 'object' }];
  return [{ backup, finished: new Date(own.finishTime), source: 'sentinel' }];
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
}

/** `ascending`: by WAL position. Two times that are both stated by sentinels are facts, and contradict nothing. */
function firstContradiction(ascending: readonly AnyDated[]): Contradiction | undefined {
  let newest: AnyDated | undefined;
  let newestUnstated: AnyDated | undefined;
  for (const higher of ascending) {
    const lower = higher.source === 'sentinel' ? newestUnstated : newest;
    if (lower !== undefined && lower.finished > higher.finished && isLower(lower, higher))
      return { lower, higher };
    if (newest === undefined || higher.finished > newest.finished) newest = higher;
    if (
      higher.source !== 'sentinel' &&
      (newestUnstated === undefined || higher.finished > newestUnstated.finished)
    )
      newestUnstated = higher;
  }
  return undefined;
}

/** Backups that start in one segment are not ordered by their names. */
function isLower(a: AnyDated, b: AnyDated): boolean {
  return backupSegment(a.backup.name) !== backupSegment(b.backup.name);
}

/** A pair on one history whose times and positions disagree, if there is one. */
export function contradiction(
  dated: readonly AnyDated[],
  tree: TimelineTree,
  segmentBytes: number,
): Contradiction | undefined {
  const positions = dated.map((entry) => ({ entry, ...positionOf(entry, segmentBytes) }));
  for (const line of new Set([...positions.map(({ timeline }) => timeline), ...tree.timelines])) {
    const onLine = positions.filter(({ timeline, index }) => {
      const left = tree.left(timeline, line);
      return left === 'itself' || (left !== undefined && index <= indexOfLsn(left, segmentBytes));
    });
    onLine.sort((a, b) => a.index - b.index || byName(a.entry, b.entry));
    const found = firstContradiction(onLine.map(({ entry }) => entry));
    if (found !== undefined) return found;
  }
  return undefined;
}

function positionOf({ backup }: AnyDated, segmentBytes: number): { timeline: number; index: number } {
  const segment = backupSegment(backup.name);
  return { timeline: Number.parseInt(segment.slice(0, 8), 16), index: segmentIndex(segment, segmentBytes) };
}
