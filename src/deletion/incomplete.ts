/** Backups without a sentinel: being made, left over by one that failed, or half deleted. */
import { BACKUP_PREFIX, type BackupName, classifyKey } from '../archive/layout.ts';
import { earliestByName } from '../archive/misnamed.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { Leftover } from '../store/store.ts';
import type { FoundNotes } from './note.ts';

export interface Incomplete {
  readonly backup: SurveyedBackup;
  /**
   * `young`: may be being made, so it and its WAL stay. `old`: goes when it falls before the horizon. `noted`: an
   * interrupted delete had begun with it, and it goes.
   */
  readonly state: 'young' | 'old' | 'noted';
}

/** Those that nothing shows to be complete. `youngSince`: what got an object after this time may be being made. */
export function incompleteBackups(
  backups: readonly SurveyedBackup[],
  notes: FoundNotes,
  leftovers: readonly Leftover[],
  youngSince: Date,
): readonly Incomplete[] {
  const writing = new Set(leftovers.filter(({ started }) => started > youngSince).flatMap(backupOf));
  return backups
    .filter(({ sentinel, reading }) => sentinel === undefined || reading.kind === 'absent')
    .map((backup) => {
      const noted = notes.backups.get(backup.name);
      if (noted !== undefined && backup.newest <= noted) return { backup, state: 'noted' };
      // Listed, and gone when it was to be read: another delete is at work, or the store is not sure.
      const isVanishing = backup.sentinel !== undefined;
      const young = isVanishing || backup.newest > youngSince || writing.has(backup.name);
      return { backup, state: young ? 'young' : 'old' };
    });
}

/** Start segments of backups that are being made, of which a store has not yet listed any object. */
export function startsBeingWritten(leftovers: readonly Leftover[], youngSince: Date): readonly string[] {
  return leftovers
    .filter(({ started }) => started > youngSince)
    .flatMap(backupOf)
    .flatMap(earliestByName);
}

/** The backup of which a part is being written: one, or none. */
export function backupOf({ key }: Leftover): BackupName[] {
  if (!key.startsWith(BACKUP_PREFIX)) return [];
  const classified = classifyKey(key);
  return classified.kind === 'wal' || classified.kind === 'unknown' ? [] : [classified.backup];
}
