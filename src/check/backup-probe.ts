/** The newest base backup, the one that LATEST means: a restore starts from it, so its age is the WAL that has to be replayed. */
import { findBackup } from '../archive/catalog.ts';
import { chronology, type DatedBackup } from '../archive/chronology.ts';
import { describeCold, firstCold, isSentinelCold } from '../archive/cold-storage.ts';
import { describePartProblems } from '../archive/problem.ts';
import { labelTimeFrom, type SurveyedBackup, surveyBackups } from '../archive/survey.ts';
import { type Call, type Store, urlOf } from '../store/store.ts';
import { type Finding, failed, failure, limited, ok, warning } from './finding.ts';
import { ago } from './server-findings.ts';

const NAME = 'last backup';

export async function probeBackups(store: Store, maxAgeHours: number, signal: AbortSignal): Promise<Finding> {
  let newest: DatedBackup<SurveyedBackup> | undefined;
  let unfinished = 0;
  let cold: string | undefined;
  try {
    const call = { signal: limited(signal) };
    const { backups } = await surveyBackups(store, call);
    unfinished = backups.filter(({ sentinel }) => sentinel === undefined).length;
    newest = (await chronology(backups, labelTimeFrom(store, call))).at(-1);
    cold = newest && (await coldText(newest.backup, store, call));
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
  const problem = problemOf(newest.backup);
  if (problem !== undefined)
    return failed(
      NAME,
      `${message}; it cannot be restored: ${problem}`,
      'Make a new one: "wal-e backup-push DATA_DIRECTORY". "wal-e wal-verify" says which of the others can be restored.',
    );
  if (cold !== undefined)
    return warning(
      NAME,
      `${message}; it is in cold storage: ${cold}`,
      'A restore has to wait until it is brought back, for hours: let no lifecycle rule move backups that you may need (docs/stores.md, "Cold storage").',
    );
  if (seconds <= maxAgeHours * 3600) return ok(NAME, message);
  return warning(
    NAME,
    message,
    `Older than ${maxAgeHours} h (--max-backup-age): see why the last "wal-e backup-push" did not run or failed.`,
  );
}

/** undefined: it can be read. Parts are listed once more only where the first listing shows some that may be cold. */
async function coldText(
  { name, reading, cold }: SurveyedBackup,
  store: Store,
  call: Call,
): Promise<string | undefined> {
  if (isSentinelCold(reading)) return 'not even its sentinel can be read';
  const backup = cold.size === 0 ? undefined : await findBackup(store, name, call);
  const keys = backup?.parts.filter(({ coldClass }) => coldClass !== undefined).map(({ key }) => key);
  const first = await firstCold(store, keys ?? [], call);
  return first && `${describeCold(cold)}, and ${urlOf(store, first.key)} cannot be read`;
}

/** What the listing and the sentinel show; WAL and damage are wal-verify's. */
function problemOf({ reading, partProblems }: SurveyedBackup): string | undefined {
  if (isSentinelCold(reading)) return undefined;
  if (reading.kind === 'unreadable') return `its sentinel cannot be understood: ${reading.error.message}`;
  return describePartProblems(partProblems);
}
