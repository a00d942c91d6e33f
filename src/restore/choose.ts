/** Which backup is meant: by its name, or LATEST, which with a target is the newest that was finished before it. */
import { findBackup, type KnownBackup, listBackups, readSentinels } from '../archive/catalog.ts';
import { chronology, type DatedBackup, type LabelTime } from '../archive/chronology.ts';
import { parseBackupName } from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import { formatLsn, parseLsn } from '../postgres/segment.ts';
import { type Call, type Store, urlOf } from '../store/store.ts';
import { describeTarget, type RecoveryTarget } from './recovery-target.ts';

const SENTINELS_AT_ONCE = 16;

/** A backup with a readable sentinel and the list of its parts. */
export async function chooseBackup(
  store: Store,
  query: string,
  target: RecoveryTarget,
  labelTime: LabelTime,
  call: Call,
): Promise<KnownBackup> {
  const name = parseBackupName(query);
  if (name === undefined && query !== 'LATEST') throw invalidQuery(query);
  const dated = name === undefined ? await newest(store, target, labelTime, call) : undefined;
  const chosen = name ?? dated?.backup.name;
  if (chosen === undefined) throw notFound(`There is no complete backup under ${store.url}.`);
  const found = await findBackup(store, chosen, call);
  if (found === undefined || found.reading.kind === 'absent')
    throw notFound(
      found === undefined
        ? `There is no backup "${chosen}" under ${store.url}.`
        : `The backup "${chosen}" has no sentinel: it is still being made, or it failed.`,
    );
  if (found.reading.kind === 'unreadable') throw unreadable(found, store);
  if (name !== undefined) refuseTooNew(found, target);
  return found;
}

async function newest(
  store: Store,
  target: RecoveryTarget,
  labelTime: LabelTime,
  call: Call,
): Promise<DatedBackup | undefined> {
  const backups: KnownBackup[] = [];
  const listed = readSentinels(store, listBackups(store, call), { width: SENTINELS_AT_ONCE, ...call });
  for await (const backup of listed) backups.push({ ...backup, parts: [] });
  const dated = await chronology(backups, labelTime);
  if (dated.length === 0) return undefined;
  if (target.name !== undefined && dated.length > 1) throw unknownPlace(target.name);
  const before = dated.filter((entry) => isBefore(entry, target)).at(-1);
  if (before === undefined)
    throw new UserError('no backup is old enough for the target', {
      detail: `The oldest, "${dated[0]?.backup.name}", was finished at ${dated[0]?.finished.toISOString()}${stopText(dated[0]?.backup)}; the target is ${describeTarget(target)}.`,
      hint: 'Recovery can only go forward from the end of a backup.',
    });
  return before;
}

function isBefore({ backup, finished }: DatedBackup, { time, lsn }: RecoveryTarget): boolean {
  if (time !== undefined) return finished <= time.date;
  if (lsn === undefined) return true;
  const stop = stopLsn(backup);
  return stop !== undefined && stop <= lsn;
}

/** A backup that was named must be old enough too; of the original's only the date of an object is known, which proves nothing. */
function refuseTooNew(backup: KnownBackup, target: RecoveryTarget): void {
  const own = backup.reading.kind === 'read' ? backup.reading.sentinel.own : undefined;
  const late = own !== undefined && target.time !== undefined && new Date(own.finishTime) > target.time.date;
  const stop = stopLsn(backup);
  const beyond = target.lsn !== undefined && stop !== undefined && stop > target.lsn;
  if (!late && !beyond) return;
  throw new UserError('the backup was finished after the target', {
    detail: `"${backup.name}" was finished${own === undefined ? '' : ` at ${own.finishTime}`}${stopText(backup)}; the target is ${describeTarget(target)}.`,
    hint: 'Name an older backup, or LATEST for the newest one that is old enough.',
  });
}

function stopLsn({ reading }: KnownBackup): bigint | undefined {
  const own = reading.kind === 'read' ? reading.sentinel.own : undefined;
  return own === undefined ? undefined : parseLsn(own.stopLsn);
}

function stopText(backup: KnownBackup | undefined): string {
  const lsn = backup === undefined ? undefined : stopLsn(backup);
  return lsn === undefined ? '' : ` (LSN ${formatLsn(lsn)})`;
}

function invalidQuery(query: string): UserError {
  return new UserError('invalid backup query submitted', {
    detail: `The submitted query operator was "${query}."`,
    hint: 'Give the name of a backup as backup-list shows it, or LATEST.',
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

function unknownPlace(name: string): UserError {
  return new UserError('LATEST cannot be told for a restore point', {
    detail: `An archive does not tell where in the WAL the restore point "${name}" is.`,
    hint: 'Name a backup that was finished before the restore point was made.',
  });
}
