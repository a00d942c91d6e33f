/**
 * What makes a restored server recover from the archive. To PostgreSQL 11 a file `recovery.conf`; from 12 settings in
 * postgresql.auto.conf and the empty file `recovery.signal` or `standby.signal` (PostgreSQL's documentation, "Recovery
 * Configuration"). Pure but for `writeRecoveryConfiguration`.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn } from '../postgres/segment.ts';
import { type Owner, replaceFile } from './owned-file.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import { ifThere } from './target.ts';

export interface RecoveryWishes {
  readonly restoreCommand: string;
  readonly standby: boolean;
  readonly target: RecoveryTarget;
}

export type RecoverySettings = readonly (readonly [name: string, value: string])[];

/** Settings of an earlier recovery that PostgreSQL would obey, or trip over, if they stayed. */
const OBSOLETE =
  /^\s*(restore_command|recovery_target|recovery_target_(?:name|time|xid|lsn|inclusive|timeline|action))\s*[= ]/i;

function recoverySettings({ restoreCommand, target }: RecoveryWishes): RecoverySettings {
  const { time, lsn, name, timeline } = target;
  return [
    ['restore_command', restoreCommand],
    ...(time === undefined ? [] : [['recovery_target_time', time.text] as const]),
    ...(lsn === undefined ? [] : [['recovery_target_lsn', formatLsn(lsn)] as const]),
    ...(name === undefined ? [] : [['recovery_target_name', name] as const]),
    // Always said: what PostgreSQL takes for granted changed with version 12.
    ['recovery_target_timeline', String(timeline)],
  ];
}

/** Lines of a PostgreSQL configuration file. */
export function settingLines(settings: RecoverySettings): string {
  return settings.map(([name, value]) => `${name} = '${quotable(value)}'\n`).join('');
}

/** A string there must not hold a line feed as it is (PostgreSQL: guc-file.l). */
function quotable(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n');
}

/** `recovery.conf`; PostgreSQL to 11 does not know the word `current`: there it is the default. */
export function recoveryConf(wishes: RecoveryWishes): string {
  const settings = recoverySettings(wishes).filter(([, value]) => value !== 'current');
  return settingLines(wishes.standby ? [['standby_mode', 'on'], ...settings] : settings);
}

/** postgresql.auto.conf with the settings at its end; what an earlier recovery left in it becomes a comment. */
export function autoConf(text: string, wishes: RecoveryWishes): string {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const kept = lines.map((line) => (OBSOLETE.test(line) ? `# before the restore: ${line}` : line));
  return [...kept, '# Written by wal-e backup-fetch.', settingLines(recoverySettings(wishes))].join('\n');
}

/** Names of the recovery settings that an earlier recovery left in postgresql.auto.conf. */
export function obsoleteSettings(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => OBSOLETE.exec(line)?.[1] ?? []);
}

/** Returns the names of the files written. */
export async function writeRecoveryConfiguration(
  directory: string,
  hasRecoverySignal: boolean,
  wishes: RecoveryWishes,
  owner: Owner | undefined,
): Promise<readonly string[]> {
  if (!hasRecoverySignal) {
    await replaceFile(join(directory, 'recovery.conf'), recoveryConf(wishes), owner);
    return ['recovery.conf'];
  }
  const path = join(directory, 'postgresql.auto.conf');
  const before = (await ifThere(() => readFile(path, 'utf8'))) ?? '';
  await replaceFile(path, autoConf(before, wishes), owner);
  const [wanted, other] = wishes.standby
    ? ['standby.signal', 'recovery.signal']
    : ['recovery.signal', 'standby.signal'];
  await rm(join(directory, other), { force: true });
  await replaceFile(join(directory, wanted), '', owner);
  return ['postgresql.auto.conf', wanted];
}
