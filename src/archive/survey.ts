/**
 * Everything delete and wal-verify must know about the base backups of an archive, in memory that does not grow with
 * the number of their parts: what is wrong with the parts is found out as the listing passes, then they are let go.
 */
import { UserError } from '../errors.ts';
import { segmentTimeline } from '../postgres/segment.ts';
import { checkWalContent, MAX_TEXT_BYTES } from '../postgres/wal-content.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';
import { backupLabelKey, labelFinishTime } from './backup-label.ts';
import { type BackupHead, type KnownBackup, listBackups, readSentinels } from './catalog.ts';
import type { LabelTime } from './chronology.ts';
import { type ColdCounts, coldCounts } from './cold-storage.ts';
import { foreignBackupSegment, walKey } from './layout.ts';
import { orUnreadable, readPlain } from './plain-object.ts';
import { type FoundPartProblem, partProblems } from './restorability.ts';
import { historyName, parseHistory, type TimelineHistory, TimelineTree } from './timeline.ts';

const SENTINELS_AT_ONCE = 16;

/** A backup without its list of parts, neither as listed nor as its sentinel states it. */
export interface SurveyedBackup extends BackupHead {
  /** Of all its objects. */
  readonly bytes: number;
  readonly objects: number;
  /** Date of its newest object, and of its oldest. */
  readonly newest: Date;
  readonly oldest: Date;
  readonly partProblems: readonly FoundPartProblem[];
  /** Of its parts, as they were listed. */
  readonly cold: ColdCounts;
}

/** Objects that are not WAL-E's. */
export interface ForeignObjects {
  readonly objects: number;
  readonly bytes: number;
  /** The first hundred. */
  readonly keys: readonly string[];
  /** Date of the newest, ms; 0 when there is none. */
  readonly newest: number;
}

const FOREIGN_KEYS = 100;

export class ForeignCount implements ForeignObjects {
  objects = 0;
  bytes = 0;
  newest = 0;
  readonly keys: string[] = [];

  add({ key, size, modified }: ObjectInfo): void {
    this.objects += 1;
    this.bytes += size;
    this.newest = Math.max(this.newest, modified.getTime());
    if (this.keys.length < FOREIGN_KEYS) this.keys.push(key);
  }
}

export interface BackupSurvey {
  /** Ascending by name, complete or not. */
  readonly backups: readonly SurveyedBackup[];
  /** Objects in the tree of backups that belong to none of them. */
  readonly foreign: ForeignObjects;
  /** Start segments of backups that another tool made here. */
  readonly foreignStarts: readonly string[];
}

/** `damaged`: parts that were read and found to be damaged, by key. */
export async function surveyBackups(
  store: Store,
  call: Call,
  damaged: ReadonlyMap<string, string> = new Map(),
): Promise<BackupSurvey> {
  const foreign = new ForeignCount();
  const foreignStarts: string[] = [];
  const listed = listBackups(store, call, (object) => {
    foreign.add(object);
    const segment = foreignBackupSegment(object.key);
    if (segment !== undefined) foreignStarts.push(segment);
  });
  const backups: SurveyedBackup[] = [];
  for await (const backup of readSentinels(store, listed, { width: SENTINELS_AT_ONCE, ...call }))
    backups.push(surveyed(backup, damaged));
  return { backups, foreign, foreignStarts };
}

function surveyed(backup: KnownBackup, damaged: ReadonlyMap<string, string>): SurveyedBackup {
  const { name, sentinel, version, parts, reading } = backup;
  let bytes = 0;
  let objects = 0;
  let newest = 0;
  let oldest = Number.POSITIVE_INFINITY;
  for (const object of [sentinel, version, ...parts]) {
    if (object === undefined) continue;
    bytes += object.size;
    objects += 1;
    newest = Math.max(newest, object.modified.getTime());
    oldest = Math.min(oldest, object.modified.getTime());
  }
  return {
    name,
    sentinel,
    reading: withoutParts(reading),
    bytes,
    objects,
    newest: new Date(newest),
    oldest: new Date(oldest),
    partProblems: reading.kind === 'absent' ? [] : [...partProblems(backup), ...damagedParts(parts, damaged)],
    cold: coldCounts(parts),
  };
}

function damagedParts(parts: KnownBackup['parts'], damaged: ReadonlyMap<string, string>): FoundPartProblem[] {
  return parts.filter(({ key }) => damaged.has(key)).map(({ number }) => ({ kind: 'damaged', number }));
}

function withoutParts(reading: KnownBackup['reading']): KnownBackup['reading'] {
  if (reading.kind !== 'read' || reading.sentinel.own === undefined) return reading;
  const own = { ...reading.sentinel.own, parts: [], damagedPages: [] };
  return { kind: 'read', sentinel: { ...reading.sentinel, own } };
}

/** Asks the label files of the archive; a label that is missing or cannot be read here tells nothing. */
export function labelTimeFrom(store: Store, call: Call): LabelTime {
  return async ({ name }) => {
    const key = backupLabelKey(name);
    if (key === undefined) return undefined;
    const bytes = await orUnreadable(
      () => readPlain(store, key, { maxBytes: MAX_TEXT_BYTES, ...call }),
      call,
    );
    return bytes instanceof Buffer ? labelFinishTime(bytes.toString('latin1')) : undefined;
  };
}

/**
 * The history of a timeline: undefined when there is no such file, an error when it is damaged or cannot be read on
 * this machine (no key to decrypt it).
 */
export async function readHistory(
  store: Store,
  timeline: number,
  call: Call,
): Promise<TimelineHistory | UserError | undefined> {
  return orUnreadable(async () => {
    const name = historyName(timeline);
    const bytes = await readPlain(store, walKey(name), { maxBytes: MAX_TEXT_BYTES, ...call });
    if (bytes === undefined) return undefined;
    checkWalContent(name, bytes.length, bytes);
    return parseHistory(timeline, bytes.toString('latin1'));
  }, call);
}

/** The histories of the timelines on which these segments lie, and what is wrong with those that cannot be read. */
export async function readHistories(
  store: Store,
  segments: readonly string[],
  call: Call,
): Promise<{ tree: TimelineTree; unreadable: UserError[] }> {
  const tree = new TimelineTree([]);
  const unreadable: UserError[] = [];
  for (const timeline of new Set(segments.map(segmentTimeline))) {
    const history = timeline > 1 ? await readHistory(store, timeline, call) : undefined;
    if (history instanceof UserError) unreadable.push(history);
    else if (history !== undefined) tree.add(history);
  }
  return { tree, unreadable };
}
