/** What delete must and must not do, worked out from what the model knows, by brute force and without the program's own code. */
import { DAY, type Model, type ModelBackup, type ModelTimeline, type ModelWal } from './model-facts.ts';
import { placeOfName } from './model-scale.ts';
import { complete, isVague, type ShownBackup, segmentInName } from './oracle-times.ts';

export type ModelGoal =
  | { readonly verb: 'retain'; readonly count: number; readonly days: number | undefined }
  | { readonly verb: 'before'; readonly backup: ShownBackup }
  | { readonly verb: 'before'; readonly segment: ModelWal }
  | { readonly verb: 'everything' };

export interface ModelPin {
  readonly system: string | undefined;
  readonly timeline: number;
  readonly start: number;
  /** undefined where the archive does not tell. */
  readonly started?: number | undefined;
}

/** Every timeline's relation to the others can be read from the archive. */
export function historiesAreKnown({ timelines }: Model): boolean {
  return (
    new Set(timelines.map(({ system }) => system)).size === 1 &&
    timelines.every(({ number, hasHistory }) => number === 1 || hasHistory)
  );
}

/** Names of the complete backups that stay. */
export function keptNames(model: Model, goal: ModelGoal): Set<string> {
  const all = complete(model);
  const kept = all.filter((backup, at) => {
    if (goal.verb === 'everything') return false;
    if (goal.verb === 'retain') return staysByCount(model, all, at, goal);
    return 'backup' in goal ? !isOlder(backup, goal.backup) : !isBeforeSegment(model, backup, goal.segment);
  });
  const segments = new Set(kept.map(segmentInName));
  return new Set(all.filter((backup) => segments.has(segmentInName(backup))).map(({ name }) => name));
}

/** Where a name says that its backup starts. */
export function placeInName(
  { segmentBytes }: Model,
  { name }: ModelBackup,
): Pick<ModelPin, 'timeline' | 'start'> {
  const segment = name.slice(5, 29);
  return { timeline: Number.parseInt(segment.slice(0, 8), 16), start: placeOfName(segment, segmentBytes) };
}

/** Where its WAL may begin as far as the archive tells. */
function apparentPlaces(model: Model, backup: ModelBackup): Pick<ModelPin, 'timeline' | 'start'>[] {
  const place = placeInName(model, backup);
  if (!isVague(backup)) return [place];
  const start = placeOfName(`${backup.name.slice(5, 21)}00000000`, model.segmentBytes);
  // NaN where the digits are not decimal.
  const timelines = new Set([place.timeline, Number(backup.name.slice(5, 13))]);
  return [...timelines].filter((timeline) => timeline > 0).map((timeline) => ({ timeline, start }));
}

function staysByCount(
  { now }: Model,
  all: readonly ShownBackup[],
  at: number,
  { count, days }: ModelGoal & { verb: 'retain' },
): boolean {
  if (at >= all.length - count) return true;
  if (days === undefined) return false;
  const begin = now - days * DAY;
  const next = all[at + 1];
  // It stays when it is inside the window, or when the window begins before there is a newer one.
  return (all[at]?.finished ?? 0) > begin || next === undefined || next.finished > begin;
}

function isOlder(backup: ShownBackup, named: ShownBackup): boolean {
  if (backup.name === named.name) return false;
  const isOlderByTime = backup.finished < named.finished;
  if (backup.system !== named.system || isVague(backup) || isVague(named)) return isOlderByTime;
  return backup.start < named.start && (backup.timeline === named.timeline || isOlderByTime);
}

function isBeforeSegment(
  model: Model,
  backup: ModelBackup,
  segment: { readonly timeline: number; readonly index: number },
): boolean {
  if (isVague(backup)) return false;
  const { system } = backup;
  const newer = timelineOf(model, {
    system,
    timeline: Math.max(backup.timeline, segment.timeline),
    start: 0,
  });
  // Without a history file nobody can tell, and the backup stays.
  if (backup.timeline !== segment.timeline && newer?.hasHistory !== true) return false;
  return (
    onOneLine(model, backup, { system, timeline: segment.timeline, start: segment.index }) &&
    backup.start < segment.index
  );
}

type Spot = Pick<ModelBackup, 'system' | 'timeline' | 'start'>;

function onOneLine(model: Model, a: Spot, b: Spot): boolean {
  if (a.timeline === b.timeline) return true;
  const [older, newer] = a.timeline < b.timeline ? [a, b] : [b, a];
  const left = timelineOf(model, newer)?.ancestors.find(({ timeline }) => timeline === older.timeline);
  return left !== undefined && older.start <= left.index;
}

function timelineOf(model: Model, { system, timeline }: Spot): ModelTimeline | undefined {
  return model.timelines.find((other) => other.system === system && other.number === timeline);
}

export function pins(model: Model, kept: ReadonlySet<string>, goal: ModelGoal): ModelPin[] {
  const held = model.backups.filter(({ name, state }) => kept.has(name) || state === 'young');
  const strangers = goal.verb === 'everything' ? [] : model.foreignStarts;
  return [
    // Only a sentinel tells when a backup was begun.
    ...held.map((backup) => ({ ...backup, started: backup.state === 'young' ? undefined : backup.begun })),
    ...strangers.map(({ timeline, index }) => ({ system: undefined, timeline, start: index })),
  ];
}

/** The same for whoever has nothing but the archive: where it is vague, more must stay. */
export function apparentPins(model: Model, kept: ReadonlySet<string>, goal: ModelGoal): ModelPin[] {
  const vague = new Set(model.backups.filter(isVague).map(({ name }) => name));
  const certain = pins(
    { ...model, backups: model.backups.filter(({ name }) => !vague.has(name)) },
    kept,
    goal,
  );
  const held = model.backups.filter(
    ({ name, state }) => vague.has(name) && (kept.has(name) || state === 'young'),
  );
  const uncertain = held.flatMap((backup) =>
    apparentPlaces(model, backup).map((place) => ({ system: backup.system, ...place, started: undefined })),
  );
  return [...certain, ...uncertain];
}

/** Whether something that stays could read this segment when it is restored. */
export function isNeeded(model: Model, wal: ModelWal, held: readonly ModelPin[]): boolean {
  return held.some(({ system, timeline, start }) => {
    if (system !== undefined && system !== wal.system) return false;
    if (wal.index < start) return false;
    if (wal.timeline === timeline) return true;
    const own = model.timelines.find((other) => other.system === wal.system && other.number === wal.timeline);
    if (own !== undefined && isReplacedHistory(model, own)) return false;
    return (
      own?.ancestors.some((ancestor) => ancestor.timeline === timeline && ancestor.index >= start) ?? false
    );
  });
}

/**
 * Another system's history file stands under the name, so that PostgreSQL finds no way to this timeline; and nothing
 * tells delete that two systems were here, which would make it keep the way nevertheless.
 */
function isReplacedHistory(model: Model, timeline: ModelTimeline): boolean {
  const stated = new Set(complete(model).map((backup) => backup.system));
  return stated.size < 2 && isOverwritten(model, timeline);
}

/** Another system's history file stands under the name of this one's. */
export function isOverwritten({ timelines }: Model, { system, number }: ModelTimeline): boolean {
  return timelines.some((other) => other.number === number && other.system > system && other.hasHistory);
}

/**
 * Whether nothing but dates tells whose WAL it is that seems to have been archived after the last backup, and these are
 * not to be believed: then some that could go may stay.
 */
export function maySpare({ dating, isSealed, backups }: Model): boolean {
  return dating !== 'stored' && (isSealed || !backups.some(({ statesTime }) => statesTime));
}

/** Whether the rules say that a segment goes; only for one system whose histories are known. */
export function goes(model: Model, wal: ModelWal, held: readonly ModelPin[], goal: ModelGoal): boolean {
  // Without a backup there is nothing to be behind of.
  if (isNeeded(model, wal, held) || complete(model).length === 0) return false;
  if (goal.verb === 'before') {
    const limits =
      'backup' in goal ? apparentPlaces(model, goal.backup).map(({ start }) => start) : [goal.segment.index];
    if (wal.index >= Math.min(...limits)) return false;
  }
  const isBehind = held.some(({ timeline, start }) => {
    if (wal.index >= start) return false;
    if (wal.timeline === timeline) return true;
    const own = model.timelines.find(({ number }) => number === timeline);
    // Nobody has seen that timeline, and it may come from any.
    if (own === undefined) return wal.timeline < timeline;
    return own.ancestors.some(
      (ancestor) => ancestor.timeline === wal.timeline && wal.index <= ancestor.index,
    );
  });
  const isBelowAll = held.every(({ start }) => wal.index < start);
  return isBehind || (isBelowAll && wal.archived < model.now - 7 * DAY);
}

/**
 * Whether a segment is plainly another system's: its name is one that something kept may need, and it was archived more
 * than a day before each such thing was begun.
 */
export function isReplaced(model: Model, wal: ModelWal, held: readonly ModelPin[]): boolean {
  if (new Set(complete(model).map(({ system }) => system)).size < 2) return false;
  const byName = held.filter(({ timeline, start }) => timeline <= wal.timeline && start <= wal.index);
  return (
    byName.length > 0 && byName.every(({ started }) => started !== undefined && wal.archived < started - DAY)
  );
}

/** Why delete must refuse, as the beginning of its message; undefined when it must not. `restorable`: names of backups. */
export function refusal(model: Model, goal: ModelGoal, restorable: ReadonlySet<string>): string | undefined {
  if (goal.verb === 'everything') return undefined;
  if (isContradictory(model)) return 'cannot tell which backups are older';
  const kept = keptNames(model, goal);
  if (isTurnedRound(model, kept)) return 'cannot tell which backups are older';
  const all = complete(model).map(({ name }) => name);
  if (all.length > 0 && kept.size === 0) return 'no backup would be left';
  const isLost = all.some((name) => restorable.has(name) && !kept.has(name));
  if (isLost && ![...kept].some((name) => restorable.has(name)))
    return 'no backup that can be restored would be left';
  return undefined;
}

/**
 * On some history a backup that starts earlier in the WAL has the later date, and not both dates are stated; or labels
 * give the lie to dates, and a backup has no other and no position either.
 */
function isContradictory(model: Model): boolean {
  const all = complete(model);
  const isCopied = all.some(
    ({ source, stored, finished }) => source === 'label' && Math.abs(stored - finished) > DAY,
  );
  if (isCopied && all.some(isVague)) return true;
  return all.some((lower) =>
    all.some(
      (higher) =>
        !isVague(lower) &&
        !isVague(higher) &&
        startsBefore(lower, higher) &&
        lower.finished > higher.finished &&
        !(lower.source === 'sentinel' && higher.source === 'sentinel') &&
        seemsOneLine(model, lower, higher),
    ),
  );
}

/** Only the wrong date of its sentinel makes a backup that would go older than another system's that would stay. */
function isTurnedRound(model: Model, kept: ReadonlySet<string>): boolean {
  const all = complete(model);
  const going = all.filter(({ name, source }) => !kept.has(name) && source === 'object');
  return going.some(({ system, finished, stated = 0 }) =>
    all.some(
      (other) =>
        kept.has(other.name) &&
        other.system !== system &&
        other.finished >= finished &&
        Math.max(other.finished, other.stated ?? 0) < stated,
    ),
  );
}

/** Of one segment that two timelines have the later one's follows. */
function startsBefore(a: ModelBackup, b: ModelBackup): boolean {
  return a.start < b.start || (a.start === b.start && a.timeline < b.timeline);
}

/** By the history files that can be read. */
function seemsOneLine(model: Model, a: ModelBackup, b: ModelBackup): boolean {
  if (a.timeline === b.timeline) return true;
  const isOn = ({ timeline, start }: ModelBackup, line: ModelTimeline) =>
    timeline === line.number ||
    line.ancestors.some((ancestor) => ancestor.timeline === timeline && start <= ancestor.index);
  const known = model.timelines.filter((line) => line.hasHistory && !isOverwritten(model, line));
  return known.some((line) => isOn(a, line) && isOn(b, line));
}
