/** What delete reads of an archive before it decides: everything but the WAL. */
import { chronology, type DatedBackup } from '../archive/chronology.ts';
import { BACKUP_PREFIX, WAL_PREFIX } from '../archive/layout.ts';
import { earliestSegments } from '../archive/misnamed.ts';
import { systemOf } from '../archive/retention.ts';
import {
  type BackupSurvey,
  labelTimeFrom,
  readHistories,
  type SurveyedBackup,
  surveyBackups,
} from '../archive/survey.ts';
import type { TimelineTree } from '../archive/timeline.ts';
import { StoreError, type UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Call, Leftover, Store } from '../store/store.ts';
import { type Incomplete, incompleteBackups, startsBeingWritten } from './incomplete.ts';
import { type FoundNotes, findNotes } from './note.ts';

export interface Findings {
  readonly survey: BackupSurvey;
  /** Complete backups, oldest first. */
  readonly dated: readonly DatedBackup<SurveyedBackup>[];
  readonly incomplete: readonly Incomplete[];
  readonly leftovers: readonly Leftover[];
  readonly notes: FoundNotes;
  /** Of the timelines on which backups lie; the other histories are met on the way through the WAL. */
  readonly tree: TimelineTree;
  /** Histories that are there and cannot be read here. */
  readonly unreadable: readonly UserError[];
  /** Systems that have backups here, or had some before an interrupted delete. */
  readonly systems: readonly string[];
  /** What is newer may be being made. */
  readonly youngSince: Date;
}

interface FindOptions extends Call {
  readonly log: Log;
}

export async function findOut(store: Store, youngSince: Date, options: FindOptions): Promise<Findings> {
  const call = { signal: options.signal };
  const notes = await findNotes(store, call);
  const leftovers = await leftoversUnder(store, [BACKUP_PREFIX, WAL_PREFIX], options);
  const survey = await surveyBackups(store, call);
  const dated = await chronology(survey.backups, labelTimeFrom(store, call));
  const incomplete = incompleteBackups(survey.backups, notes, leftovers, youngSince);
  const starts = [...startSegments(survey), ...startsBeingWritten(leftovers, youngSince)];
  const { tree, unreadable } = await readHistories(store, starts, call);
  const systems = systemsOf(survey, notes);
  return { survey, dated, incomplete, leftovers, notes, tree, unreadable, systems, youngSince };
}

export function startSegments({ backups, foreignStarts }: BackupSurvey): readonly string[] {
  return [...backups.flatMap(earliestSegments), ...foreignStarts];
}

/** Listing uploads is a right of its own: without it all else is deleted. */
export async function leftoversUnder(
  store: Store,
  prefixes: readonly string[],
  { log, ...call }: FindOptions,
): Promise<readonly Leftover[]> {
  const all: Leftover[] = [];
  try {
    for (const prefix of prefixes) for await (const page of store.leftovers(prefix, call)) all.push(...page);
  } catch (error) {
    if (!(error instanceof StoreError) || error.unavailable || call.signal.aborted) throw error;
    log.warning('could not look for interrupted uploads, which are left alone', {
      detail: error.detail ?? error.message,
      hint: error.hint,
    });
  }
  return all;
}

function systemsOf({ backups }: BackupSurvey, notes: FoundNotes): readonly string[] {
  const stated = backups.map(systemOf).filter((system) => system !== undefined);
  return [...new Set([...stated, ...notes.systems])].sort();
}
