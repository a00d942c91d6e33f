/** Which backup is meant: by its name, or LATEST, which with a target is the newest that was finished before it. */
import { type BackupHead, findBackup, type KnownBackup, ownFacts } from '../archive/catalog.ts';
import { chronology, type DatedBackup } from '../archive/chronology.ts';
import {
  type BackupName,
  backupSegment,
  isForeignBackupName,
  parseBackupName,
  WAL_PREFIX,
} from '../archive/layout.ts';
import { backupPosition } from '../archive/restorability.ts';
import { segmentSizeOf } from '../archive/segment-size.ts';
import { labelTimeFrom, readHistory, surveyBackups } from '../archive/survey.ts';
import { historyName, type TimelineHistory, TimelineTree } from '../archive/timeline.ts';
import { segmentIndex } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { formatLsn, parseLsn, segmentTimeline } from '../postgres/segment.ts';
import { type Call, type Store, urlOf } from '../store/store.ts';
import { readWal, wantedTimeline } from './archived-wal.ts';
import { coldSentinel } from './cold-parts.ts';
import { describeTarget, type RecoveryTarget } from './recovery-target.ts';
import { findRestorePoint } from './restore-point.ts';

export interface Choice {
  /** With a readable sentinel and the list of its parts. */
  readonly backup: KnownBackup;
  /** What was asked for; where a restore point was looked for, with its LSN. */
  readonly target: RecoveryTarget;
}

export async function chooseBackup(
  store: Store,
  query: string,
  target: RecoveryTarget,
  call: Call & { readonly log: Log },
): Promise<Choice> {
  const name = parseBackupName(query);
  if (isForeignBackupName(query)) throw foreign(query);
  if (name === undefined && query !== 'LATEST') throw invalidQuery(query);
  const latest = name === undefined ? await newest(store, target, call) : undefined;
  const chosen = name ?? latest?.name;
  if (chosen === undefined) throw notFound(`There is no complete backup under ${store.url}.`);
  const found = await findBackup(store, chosen, call);
  if (found === undefined || found.reading.kind === 'absent')
    throw notFound(
      found === undefined
        ? `There is no backup "${chosen}" under ${store.url}.`
        : `The backup "${chosen}" has no sentinel: it is still being made, or it failed.`,
    );
  if (found.reading.kind === 'unreadable') throw coldSentinel(found, store) ?? unreadable(found, store);
  if (name !== undefined) refuseTooNew(found, target);
  return { backup: found, target: latest?.target ?? target };
}

async function newest(
  store: Store,
  wanted: RecoveryTarget,
  call: Call & { readonly log: Log },
): Promise<{ readonly name: BackupName; readonly target: RecoveryTarget } | undefined> {
  const { backups, foreignStarts } = await surveyBackups(store, call);
  sayForeign(foreignStarts, call.log);
  const dated = await chronology(backups, labelTimeFrom(store, call));
  const [oldest] = dated;
  if (oldest === undefined) return undefined;
  const found =
    wanted.name !== undefined && dated.length > 1
      ? await restorePoint(store, wanted.name, wanted.timeline, dated, call)
      : undefined;
  const target = { ...wanted, lsn: found?.lsn ?? wanted.lsn };
  const isEligible = await eligibility(store, { ...target, ...found }, backups, call);
  const before = dated.filter(isEligible).at(-1);
  if (before !== undefined) return { name: before.backup.name, target };
  const text = [describeTarget(target), timelineText(target)].filter(Boolean).join(' on ');
  throw new UserError('no backup is old enough for the target', {
    detail: `The oldest, "${oldest.backup.name}", was finished at ${oldest.finished.toISOString()}; the target is ${text}.`,
    hint: 'Recovery can only go forward from the end of a backup, along its own timeline and those that branch from it.',
  });
}

/** On the timeline that recovery of the newest backup would follow. */
async function restorePoint(
  store: Store,
  name: string,
  timeline: RecoveryTarget['timeline'],
  dated: readonly DatedBackup<BackupHead>[],
  call: Call & { readonly log: Log },
): Promise<{ readonly lsn: bigint; readonly timeline: number }> {
  const backups = dated.map(({ backup }) => backup);
  const starts = backups.map((backup) => backupSegment(backup.name));
  const { bytes, source } = await segmentSizeOf(store, backups, starts, call);
  const { tree, coverage } = await readWal(
    store,
    [WAL_PREFIX],
    source === 'assumed' ? undefined : bytes,
    call,
  );
  const own = segmentTimeline(starts.at(-1) ?? '');
  const path = {
    timeline: wantedTimeline(own, timeline, tree),
    first: Math.min(...starts.map((start) => segmentIndex(start, coverage.segmentBytes))),
    tree,
    coverage,
  };
  const lsn = await findRestorePoint(store, name, path, call);
  if (lsn !== undefined) return { lsn, timeline: path.timeline };
  throw new UserError('the archive holds no such restore point', {
    detail: `No archived segment along timeline ${path.timeline}, back to the oldest backup, holds the restore point "${name}".`,
    hint: 'Check the name; another timeline is searched with --target-timeline. Or name a backup that was finished before it.',
  });
}

/** Whether recovery from a backup can get to the target at all. */
async function eligibility(
  store: Store,
  target: RecoveryTarget,
  backups: readonly BackupHead[],
  call: Call,
): Promise<(dated: DatedBackup<BackupHead>) => boolean> {
  const { time, lsn, timeline } = target;
  if (lsn === undefined && typeof timeline !== 'number')
    return ({ finished }) => time === undefined || finished <= time.date;
  const starts = backups.map(({ name }) => backupSegment(name));
  const { bytes } = await segmentSizeOf(store, backups, starts, call);
  const histories = typeof timeline === 'number' ? await historiesOf(store, timeline, call) : [];
  if (typeof timeline === 'number' && histories.length === 0) refuseUnknown(timeline, starts);
  const tree = new TimelineTree(histories);
  return ({ backup, finished }) => {
    const { timeline: own, stopLsn } = backupPosition(backup, bytes);
    const left = typeof timeline === 'number' ? tree.left(own, timeline) : 'itself';
    const onWay = left === 'itself' || (left !== undefined && stopLsn !== undefined && stopLsn <= left);
    const early = lsn === undefined || (stopLsn !== undefined && stopLsn <= lsn);
    return onWay && early && (time === undefined || finished <= time.date);
  };
}

async function historiesOf(store: Store, timeline: number, call: Call): Promise<TimelineHistory[]> {
  const history = timeline > 1 ? await readHistory(store, timeline, call) : undefined;
  if (history instanceof UserError) throw history;
  return history === undefined ? [] : [history];
}

/** A timeline without a history is known by its backups alone; 1 never has one. */
function refuseUnknown(timeline: number, starts: readonly string[]): void {
  if (timeline === 1 || starts.some((start) => segmentTimeline(start) === timeline)) return;
  throw new UserError(`the archive has no timeline ${timeline}`, {
    detail: `Neither ${historyName(timeline)} nor a backup of that timeline is there.`,
    hint: 'wal-e wal-verify lists the timelines, and where they branch.',
  });
}

function timelineText({ timeline }: RecoveryTarget): string | undefined {
  return typeof timeline === 'number' ? `timeline ${timeline}` : undefined;
}

/** A named backup must be old enough too. Of the original's only the date of an object is known, which proves nothing. */
function refuseTooNew(backup: KnownBackup, target: RecoveryTarget): void {
  const own = ownFacts(backup);
  const late = own !== undefined && target.time !== undefined && new Date(own.finishTime) > target.time.date;
  const stop = stopLsn(backup);
  const beyond = target.lsn !== undefined && stop !== undefined && stop > target.lsn;
  if (!late && !beyond) return;
  throw new UserError('the backup was finished after the target', {
    detail: `"${backup.name}" was finished${own === undefined ? '' : ` at ${own.finishTime}`}${stopText(backup)}; the target is ${describeTarget(target)}.`,
    hint: 'Name an older backup, or LATEST for the newest one that is old enough.',
  });
}

function stopLsn(backup: KnownBackup): bigint | undefined {
  const own = ownFacts(backup);
  return own === undefined ? undefined : parseLsn(own.stopLsn);
}

function stopText(backup: KnownBackup): string {
  const lsn = stopLsn(backup);
  return lsn === undefined ? '' : ` (LSN ${formatLsn(lsn)})`;
}

function invalidQuery(query: string): UserError {
  return new UserError('invalid backup query submitted', {
    detail: `The submitted query operator was "${query}."`,
    hint: 'Give the name of a backup as backup-list shows it, or LATEST.',
  });
}

function foreign(query: string): UserError {
  return new UserError('the backup is one of WAL-G in its own format', {
    detail: `"${query}" has no offset in its name. WAL-G stores such backups with lz4 or other methods, and their WAL too.`,
    hint: 'Restore it with wal-g backup-fetch.',
  });
}

function sayForeign(starts: readonly string[], log: Log): void {
  if (starts.length === 0) return;
  log.warning('LATEST does not look at backups that WAL-G made', {
    detail: `The archive holds ${starts.length} of them, the last one from ${[...starts].sort().at(-1)} on.`,
    hint: 'Restore those with wal-g backup-fetch.',
  });
}

function notFound(detail: string): UserError {
  return new UserError('no backups found for fetching', {
    detail,
    hint: 'wal-e backup-list shows what is there.',
  });
}

function unreadable(backup: KnownBackup, store: Store): UserError {
  const cause = backup.reading.kind === 'unreadable' ? backup.reading.error : undefined;
  return new UserError('the sentinel of the backup cannot be understood', {
    detail: `${urlOf(store, backup.sentinel?.key ?? backup.name)}: ${cause?.message}`,
    hint: 'Name another backup.',
    cause,
  });
}
