/**
 * The label file that PostgreSQL archives with the WAL of a backup, `wal_005/<segment>.<offset>.backup`. WAL-E names
 * its backups `freeze_start_<time in UTC>`, so this small object tells when a backup of the original was made even
 * where the dates of the archive's objects do not.
 */
import { hex8 } from '../postgres/segment.ts';
import { type BackupName, backupOffset, backupSegment, type Key, walKey } from './layout.ts';

/** PostgreSQL spells the offset in hex, a backup's name in decimal. undefined for the original's offline backups. */
export function backupLabelKey(backup: BackupName): Key | undefined {
  const offset = backupOffset(backup);
  if (!/^\d{8}$/.test(offset)) return undefined;
  const hex = hex8(Number(offset));
  return walKey(`${backupSegment(backup)}.${hex}.backup`);
}

/**
 * When the backup was finished: the label's own time plus the duration, since START TIME and STOP TIME are local
 * times with an abbreviation of the zone that need not be unique. undefined when the label does not tell.
 */
export function labelFinishTime(text: string): Date | undefined {
  const started = Date.parse(/^LABEL: freeze_start_(\S{10,40})$/m.exec(text)?.[1] ?? '');
  const start = localTime('START TIME', text);
  const stop = localTime('STOP TIME', text);
  const sameZone = start !== undefined && start.zone === stop?.zone;
  if (!Number.isNaN(started)) {
    const duration = sameZone ? Math.max(stop.asUtc - start.asUtc, 0) : 0;
    return new Date(started + duration);
  }
  return stop !== undefined && /^(UTC|GMT)$/.test(stop.zone) ? new Date(stop.asUtc) : undefined;
}

function localTime(field: string, text: string): { asUtc: number; zone: string } | undefined {
  const match = new RegExp(`^${field}: (\\d{4}-\\d\\d-\\d\\d) (\\d\\d:\\d\\d:\\d\\d) (\\S{1,40})$`, 'm').exec(
    text,
  );
  const asUtc = Date.parse(`${match?.[1]}T${match?.[2]}Z`);
  return match?.[3] === undefined || Number.isNaN(asUtc) ? undefined : { asUtc, zone: match[3] };
}
