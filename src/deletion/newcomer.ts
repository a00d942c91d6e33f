/**
 * A server that was made anew (initdb) under the prefix of another one counts its segments from the beginning, below all
 * that is kept; until the first object of its first backup is stored nothing shows that its WAL is needed. Along one
 * history no segment below a backup is archived after that backup: one that was is looked into.
 */
import { CLOCK_TOLERANCE_MS, hasWrongDate } from '../archive/chronology.ts';
import { backupSegment, type Key, walKey } from '../archive/layout.ts';
import { orUnreadable, readPlainHead } from '../archive/plain-object.ts';
import { systemOf } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import { UserError } from '../errors.ts';
import { readWalPage, SEGMENT_HEAD_BYTES } from '../postgres/wal-page.ts';
import type { Call, Store } from '../store/store.ts';
import { backupOf } from './incomplete.ts';
import type { Plan } from './plan.ts';

/** What was archived after this may be needed by a backup that nobody sees yet; undefined when there is no such WAL. */
export async function newcomerSince(store: Store, plan: Plan, call: Call): Promise<Date | undefined> {
  const { newestRemoved } = plan.tally;
  const kept = plan.verdicts.filter(({ keep }) => keep).map(({ dated }) => dated.backup);
  const newest = kept.at(-1);
  if (newestRemoved === undefined || newest === undefined) return undefined;
  const archived = newestRemoved.modified.getTime();
  const stored = newestKept(plan, kept);
  const since = Math.max(stored, plan.findings.youngSince.getTime());
  if (archived <= since) return undefined;
  const system = await systemIn(newestRemoved.key, store, call);
  if (system === undefined) return undefined;
  const known = await systemsOf(kept, newest, store, call);
  const isKnown = typeof system === 'string' && known.size > 0;
  const isNewcomer = isKnown ? !known.has(system) : archived > stored + CLOCK_TOLERANCE_MS && hasDates(plan);
  return isNewcomer ? new Date(since) : undefined;
}

/** When the last of the backups that stay was stored, or began to be, ms. */
function newestKept({ incomplete, findings }: Plan, kept: readonly SurveyedBackup[]): number {
  const young = incomplete.filter(({ state }) => state === 'young').map(({ backup }) => backup.newest);
  const complete = kept.map(({ sentinel }) => sentinel?.modified);
  const uploads = findings.leftovers.filter((upload) => backupOf(upload).length > 0);
  const dates = [...young, ...complete, ...uploads.map(({ started }) => started)];
  return dates.reduce((last, date) => Math.max(last, date?.getTime() ?? 0), 0);
}

/** Of all that stays, and the dates are to be believed. */
function hasDates({ findings: { dated, survey } }: Plan): boolean {
  return survey.foreignStarts.length === 0 && !dated.some(hasWrongDate);
}

/** The original's backups do not state it; their WAL does. */
async function systemsOf(
  kept: readonly SurveyedBackup[],
  newest: SurveyedBackup,
  store: Store,
  call: Call,
): Promise<ReadonlySet<string>> {
  const stated = kept.map(systemOf).filter((system) => system !== undefined);
  if (stated.length > 0) return new Set(stated);
  const system = await systemIn(walKey(backupSegment(newest.name)), store, call);
  return new Set(typeof system === 'string' ? [system] : []);
}

/** undefined where no WAL is in it, an error where that cannot be read here. */
async function systemIn(key: Key, store: Store, call: Call): Promise<string | UserError | undefined> {
  const read = () => readPlainHead(store, key, { bytes: SEGMENT_HEAD_BYTES, ...call });
  const head = await orUnreadable(read, call);
  return head instanceof UserError ? head : head && readWalPage(head)?.systemIdentifier;
}
