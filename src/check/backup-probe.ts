/** The newest base backup, the one that LATEST means: a restore starts from it, so its age is the WAL that has to be replayed. */
import { chronology, newestBackup } from '../archive/chronology.ts';
import { labelTimeFrom, surveyBackups } from '../archive/survey.ts';
import type { Store } from '../store/store.ts';
import { type Finding, failure, limited, ok, warning } from './finding.ts';
import { ago } from './server-findings.ts';

const NAME = 'last backup';

export async function probeBackups(store: Store, maxAgeHours: number, signal: AbortSignal): Promise<Finding> {
  let newest: ReturnType<typeof newestBackup>;
  let unfinished = 0;
  try {
    const call = { signal: limited(signal) };
    const { backups } = await surveyBackups(store, call);
    unfinished = backups.filter(({ sentinel }) => sentinel === undefined).length;
    newest = newestBackup(await chronology(backups, labelTimeFrom(store, call)));
  } catch (error) {
    signal.throwIfAborted();
    return failure(NAME, error, 'See the lines about the store.');
  }
  const rest = unfinished === 0 ? '' : `; ${unfinished} unfinished`;
  if (newest === undefined)
    return warning(
      NAME,
      `there is none${rest}`,
      'WAL alone restores nothing: run "wal-e backup-push DATA_DIRECTORY".',
    );
  const seconds = Math.max(0, Math.floor((Date.now() - newest.finished.getTime()) / 1000));
  const message = `${newest.backup.name}, ${ago(seconds)}${rest}`;
  if (seconds <= maxAgeHours * 3600) return ok(NAME, message);
  return warning(
    NAME,
    message,
    `Older than ${maxAgeHours} h (--max-backup-age): see why the last "wal-e backup-push" did not run or failed.`,
  );
}
