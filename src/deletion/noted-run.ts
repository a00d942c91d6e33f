/** Carries a plan out under a note in the store, which stays while anything of it is left, so that the next run takes it up. */
import type { Key } from '../archive/layout.ts';
import { StoreError, UserError } from '../errors.ts';
import { formatDuration } from '../progress.ts';
import type { Store } from '../store/store.ts';
import { doomedSentinels } from './doomed.ts';
import { writeNote } from './note.ts';
import type { Plan } from './plan.ts';
import { carryOut, expectedKeys } from './removal.ts';
import type { Outcome, SweepOptions } from './sweep.ts';

/** As far ahead of the store's as S3 lets a client's clock be. */
const CLOCK_AHEAD_MS = 15 * 60 * 1000;
const NOTES_AT_ONCE = 1000;

export async function deleteNoted(plan: Plan, store: Store, options: SweepOptions): Promise<Outcome> {
  const own = expectedKeys(plan) === 0 ? undefined : await noteRun(plan, store, options);
  const outcome = await carryOut(plan, store, options);
  if (outcome.failed > 0) return outcome;
  const done = [...finishedNotes(plan), ...(own === undefined ? [] : [own])];
  if (done.length > 0) await store.remove(done.slice(0, NOTES_AT_ONCE), options);
  return outcome;
}

/** undefined when the store does not let us: deleting is a right of its own. */
async function noteRun(plan: Plan, store: Store, options: SweepOptions): Promise<Key | undefined> {
  const note = { backups: doomedSentinels(plan), systems: plan.findings.systems };
  const begun = options.now();
  let key: Key;
  try {
    key = await writeNote(store, note, options);
  } catch (error) {
    if (!(error instanceof StoreError) || options.signal.aborted) throw error;
    options.log.warning('could not note in the store what is going to be deleted', {
      detail: error.detail ?? error.message,
      hint: 'If this run is interrupted, what it leaves is deleted when it is older than --orphans-older-than.',
    });
    return undefined;
  }
  const aheadMs = begun.getTime() - ((await store.head(key, options))?.modified ?? begun).getTime();
  if (aheadMs <= CLOCK_AHEAD_MS) return key;
  await store.remove([key], options);
  throw new UserError('the clock of this host is ahead of the clock of the store', {
    detail: `By ${formatDuration(aheadMs / 1000)}: objects seem older than they are, and a backup that is being made seems left over.`,
    hint: 'Nothing was deleted. Set the clock right.',
  });
}

/** Of earlier runs: those of which nothing is left. Another run may be at work under the others. */
function finishedNotes({ findings, verdicts, incomplete }: Plan): Key[] {
  const staying = new Set<string>([
    ...verdicts.filter(({ keep }) => keep).map(({ dated }) => dated.backup.name),
    ...incomplete.filter(({ remove }) => !remove).map(({ backup }) => backup.name),
  ]);
  return findings.notes.notes
    .filter(({ backups }) => !backups.some((name) => staying.has(name)))
    .map(({ key }) => key);
}
