/**
 * Removes what incomplete backups left. Their plan was made some time ago, and one that seemed to be dead may have gone
 * on since: each is looked at again just before it goes, and once more behind it.
 */
import { BACKUP_PREFIX, type BackupName, classifyKey, sentinelKey } from '../archive/layout.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { Call, Store } from '../store/store.ts';
import { objectsOf } from './doomed.ts';
import type { Plan } from './plan.ts';
import type { Sweep, SweepOptions } from './sweep.ts';

/** Returns those that turned out to be alive, and stay. */
export async function removeIncomplete(
  plan: Plan,
  store: Store,
  sweep: Sweep,
  options: SweepOptions,
): Promise<readonly BackupName[]> {
  const alive: BackupName[] = [];
  for (const { backup, remove } of plan.incomplete) {
    if (!remove) continue;
    if (await hasGoneOn(backup, store, options)) {
      alive.push(backup.name);
      sweep.clear();
      options.log.warning('keeping a backup that seemed to be left over', {
        detail: `${backup.name} has gone on, or was completed, since it was looked at.`,
      });
      continue;
    }
    await sweep.keys(objectsOf(store, plan, backup.name, options));
    if (!options.dryRun) await endIfCompleted(backup.name, store, sweep, options);
  }
  return alive;
}

async function hasGoneOn({ name, newest }: SurveyedBackup, store: Store, call: Call): Promise<boolean> {
  for await (const page of store.list(BACKUP_PREFIX + name, call))
    for (const { key, modified } of page)
      if (modified > newest || classifyKey(key).kind === 'sentinel') return true;
  return false;
}

/**
 * It was completed in the moment in which its parts went: then it must not be listed. backup-push looks for its parts
 * after it has stored the sentinel, so that one of the two notices whatever the order.
 */
async function endIfCompleted(
  name: BackupName,
  store: Store,
  sweep: Sweep,
  options: SweepOptions,
): Promise<void> {
  const key = sentinelKey(name);
  if ((await store.head(key, options)) === undefined) return;
  sweep.clear();
  options.log.error('a backup was completed while what it consisted of was deleted', {
    detail: `${name} seemed to be left over. It cannot be restored, so it is deleted as a whole.`,
    hint: 'Take a new backup. Choose --orphans-older-than longer than the longest pause that a backup may make.',
  });
  await sweep.keys([{ key, thing: 'a base backup sentinel file' }]);
  sweep.lose(name);
}
