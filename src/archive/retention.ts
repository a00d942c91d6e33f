/**
 * Which base backups go: pure policy over backups that are dated and placed in their history. WAL-E compares the last
 * 16 digits of segment names, whatever their timeline; here positions are only compared along one history, and time
 * decides between branches and between systems.
 */
import { segmentTimeline } from '../postgres/segment.ts';
import { type BackupHead, ownFacts } from './catalog.ts';
import type { DatedBackup } from './chronology.ts';
import { type BackupName, backupSegment } from './layout.ts';
import { isMisnamed } from './misnamed.ts';
import type { TimelineTree } from './timeline.ts';
import { indexOfLsn, segmentIndex } from './wal-inventory.ts';

export type Policy =
  /** Keep the `count` newest, and what is needed to restore to any time of the last `days` days. */
  | { readonly kind: 'retain'; readonly count: number; readonly days: number | undefined }
  | { readonly kind: 'before-backup'; readonly name: BackupName }
  | { readonly kind: 'before-segment'; readonly segment: string };

export interface Place {
  readonly timeline: number;
  /** Index of the segment in which the backup starts. */
  readonly index: number;
}

export interface Verdict<Backup extends BackupHead> {
  readonly dated: DatedBackup<Backup>;
  readonly keep: boolean;
  /** For the report: why. */
  readonly reason: string;
}

export interface History {
  readonly tree: TimelineTree;
  readonly segmentBytes: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** One verdict for each of `dated` (oldest first), in that order. `now`: the end of the days that must stay covered. */
export function judge<Backup extends BackupHead>(
  policy: Policy,
  dated: readonly DatedBackup<Backup>[],
  history: History,
  now: Date,
): readonly Verdict<Backup>[] {
  const verdicts = policy.kind === 'retain' ? retain(policy, dated, now) : before(policy, dated, history);
  return sparingNeighbours(verdicts);
}

function retain<Backup extends BackupHead>(
  { count, days }: Policy & { kind: 'retain' },
  dated: readonly DatedBackup<Backup>[],
  now: Date,
): Verdict<Backup>[] {
  const cutoff = days === undefined ? Number.POSITIVE_INFINITY : now.getTime() - days * DAY_MS;
  // Of the backups older than the window the newest is needed too: it leads into the window.
  const leading = dated.filter(({ finished }) => finished.getTime() <= cutoff).at(-1);
  return dated.map((entry, index) => {
    if (dated.length - index <= count)
      return keep(entry, count === 1 ? 'the newest' : `one of the ${count} newest`);
    const covers = days !== undefined && (entry === leading || entry.finished.getTime() > cutoff);
    if (covers) return keep(entry, `needed to cover the last ${days} days`);
    return {
      dated: entry,
      keep: false,
      reason: count === 1 ? 'older than the newest' : `older than the ${count} newest`,
    };
  });
}

function before<Backup extends BackupHead>(
  policy: Policy & { kind: 'before-backup' | 'before-segment' },
  dated: readonly DatedBackup<Backup>[],
  history: History,
): Verdict<Backup>[] {
  const named =
    policy.kind === 'before-backup' ? dated.find(({ backup }) => backup.name === policy.name) : undefined;
  const text = policy.kind === 'before-backup' ? policy.name : policy.segment;
  const place = placeOf(
    policy.kind === 'before-backup' ? backupSegment(policy.name) : policy.segment,
    history,
  );
  return dated.map((entry) => {
    if (entry === named) return keep(entry, 'the one that was named');
    return isOlder(entry, place, named, history)
      ? { dated: entry, keep: false, reason: `before ${text}` }
      : keep(entry, `not before ${text}`);
  });
}

/** Whether a backup comes before `place`, where `named` starts if the place was given by a backup's name. */
function isOlder(
  entry: DatedBackup<BackupHead>,
  place: Place,
  named: DatedBackup<BackupHead> | undefined,
  history: History,
): boolean {
  const system = systemOf(entry.backup);
  const other = named === undefined ? undefined : systemOf(named.backup);
  const isOlderByTime = named !== undefined && entry.finished < named.finished;
  if (system !== undefined && other !== undefined && system !== other) return isOlderByTime;
  if (isMisnamed(entry.backup) || (named !== undefined && isMisnamed(named.backup))) return isOlderByTime;
  const own = placeOf(backupSegment(entry.backup.name), history);
  if (own.index >= place.index) return false;
  if (own.timeline === place.timeline) return true;
  // A history file may be another system's, or missing: between timelines the time must agree, if there is one.
  if (named !== undefined) return isOlderByTime;
  return own.timeline < place.timeline && relation(own, place, history) === 'line';
}

/** Two backups that start in one segment stand or fall together, as in the original. */
function sparingNeighbours<Backup extends BackupHead>(
  verdicts: readonly Verdict<Backup>[],
): readonly Verdict<Backup>[] {
  const kept = new Set(
    verdicts.filter((verdict) => verdict.keep).map(({ dated }) => backupSegment(dated.backup.name)),
  );
  return verdicts.map((verdict) =>
    !verdict.keep && kept.has(backupSegment(verdict.dated.backup.name))
      ? keep(verdict.dated, 'starts in the same segment as one that is kept')
      : verdict,
  );
}

function keep<Backup extends BackupHead>(dated: DatedBackup<Backup>, reason: string): Verdict<Backup> {
  return { dated, keep: true, reason };
}

export function placeOf(segment: string, { segmentBytes }: History): Place {
  return { timeline: segmentTimeline(segment), index: segmentIndex(segment, segmentBytes) };
}

/** Of the backup's cluster; undefined in backups of the original. */
export function systemOf(backup: BackupHead): string | undefined {
  return ownFacts(backup)?.systemIdentifier;
}

/**
 * `line`: one place lies on the history of the other; `apart`: on branches. A timeline other than the first whose
 * history file is not known may come from anywhere: `unknown`.
 */
export function relation(a: Place, b: Place, { tree, segmentBytes }: History): 'line' | 'apart' | 'unknown' {
  const [older, newer] = a.timeline <= b.timeline ? [a, b] : [b, a];
  const left = tree.left(older.timeline, newer.timeline);
  if (left === undefined)
    return newer.timeline > 1 && tree.history(newer.timeline) === undefined ? 'unknown' : 'apart';
  return left === 'itself' || older.index <= indexOfLsn(left, segmentBytes) ? 'line' : 'apart';
}
