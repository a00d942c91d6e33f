/**
 * What makes a restored server recover from the archive. To PostgreSQL 11 a file `recovery.conf`; from 12 settings in
 * postgresql.auto.conf and the empty file `recovery.signal` or `standby.signal` (PostgreSQL's documentation, "Recovery
 * Configuration"). Pure but for `writeRecoveryConfiguration`.
 */
import { lstat, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { formatLsn } from '../postgres/segment.ts';
import { ifThere } from './if-there.ts';
import { type Owner, replaceFile } from './owned-file.ts';
import type { RecoveryTarget } from './recovery-target.ts';

export interface RecoveryWishes {
  readonly restoreCommand: string;
  readonly standby: boolean;
  readonly target: RecoveryTarget;
}

const AUTO_CONF = 'postgresql.auto.conf';

export type RecoverySettings = readonly (readonly [name: string, value: string])[];

/**
 * Settings of an earlier recovery that PostgreSQL would obey, or trip over, if they stayed. The two commands would run
 * here what was meant for the source, such as removing WAL from somewhere.
 */
const OBSOLETE =
  /^\s*(restore_command|archive_cleanup_command|recovery_end_command|recovery_target|recovery_target_(?:name|time|xid|lsn|inclusive|timeline|action))\s*[= ]/i;

/** Honoured in every recovery from an archive, not only a standby's: it would wait for as long with the last hours of WAL. */
const DELAY = /^\s*(recovery_min_apply_delay)\s*[= ]/i;

/** Settings by which a restored server would archive, and so into the source's prefix if nobody looks. */
const ARCHIVING = /^\s*(archive_(?:mode|command|library))\s*[= ]/i;

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
  const isOver = (line: string) => OBSOLETE.test(line) || (!wishes.standby && DELAY.test(line));
  const kept = lines.map((line) => (isOver(line) ? `# before the restore: ${line}` : line));
  return [...kept, '# Written by wal-e backup-fetch.', settingLines(recoverySettings(wishes))].join('\n');
}

/** Names of the recovery settings that an earlier recovery left in postgresql.auto.conf, each once. */
export function obsoleteSettings(text: string): readonly string[] {
  return [...namesIn(text, OBSOLETE), ...namesIn(text, DELAY)];
}

/** Names of the settings in postgresql.auto.conf by which the server would archive, each once. */
export function archivingSettings(text: string): readonly string[] {
  return namesIn(text, ARCHIVING);
}

function namesIn(text: string, setting: RegExp): readonly string[] {
  const names = text.split('\n').flatMap((line) => setting.exec(line)?.[1]?.toLowerCase() ?? []);
  return [...new Set(names)];
}

/** '' when it is not there; undefined when it is no file: what a link of the archive leads to is not read. */
export async function readAutoConf(directory: string): Promise<string | undefined> {
  const path = join(directory, AUTO_CONF);
  const there = await ifThere(() => lstat(path));
  if (there === undefined) return '';
  return there.isFile() ? readFile(path, 'utf8') : undefined;
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
  const before = await readAutoConf(directory);
  if (before === undefined)
    throw new UserError('postgresql.auto.conf of the backup is not a file', {
      detail: join(directory, AUTO_CONF),
      hint: 'Restore without --recovery-conf, and set up recovery by hand.',
    });
  await replaceFile(join(directory, AUTO_CONF), autoConf(before, wishes), owner);
  const [wanted, other] = wishes.standby
    ? ['standby.signal', 'recovery.signal']
    : ['recovery.signal', 'standby.signal'];
  await rm(join(directory, other), { force: true });
  await replaceFile(join(directory, wanted), '', owner);
  return [AUTO_CONF, wanted];
}
