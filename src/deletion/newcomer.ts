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
import type { Plan } from './plan.ts';

/** What was archived after this may be needed by a backup that nobody sees yet; undefined when there is no such WAL. */
export async function newcomerSince(store: Store, plan: Plan, call: Call): Promise<Date | undefined> {
  const { newestRemoved } = plan.tally;
  const kept = plan.verdicts.filter(({ keep }) => keep).map(({ dated }) => dated.backup);
  const newest = kept.at(-1);
  if (newestRemoved === undefined || newest === undefined) return undefined;
  const stored = kept.reduce((last, { sentinel }) => Math.max(last, sentinel?.modified.getTime() ?? 0), 0);
  const archived = newestRemoved.modified.getTime();
  const since = Math.max(stored, plan.findings.youngSince.getTime());
  if (archived <= since) return undefined;
  const system = await systemIn(newestRemoved.key, store, call);
  if (system === undefined) return undefined;
  const known = await systemsOf(kept, newest, store, call);
  const isKnown = typeof system === 'string' && known.size > 0;
  // Where nothing tells but dates, and these are to be believed.
  const isLater = archived > stored + CLOCK_TOLERANCE_MS && !plan.findings.dated.some(hasWrongDate);
  return (isKnown ? !known.has(system) : isLater) ? new Date(since) : undefined;
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
