/** What is left to do after a restore, for the person who does it. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { recoversBySignalFile, replayFunctions } from '../postgres/version.ts';
import { shellWord } from '../text/shell.ts';
import { ifThere } from './if-there.ts';
import { archivingSettings, obsoleteSettings, readAutoConf, settingLines } from './recovery-configuration.ts';

export interface NextSteps {
  readonly directory: string;
  readonly backup: string;
  /** The text of PG_VERSION. */
  readonly version: string;
  readonly restoreCommand: string;
  /** Files that --recovery-conf wrote; undefined without it. */
  readonly written: readonly string[] | undefined;
  /** Variables that the server must have, unless restore_command brings them. */
  readonly variables: readonly string[];
  /** For messages; undefined: recovery goes to the end of the WAL. */
  readonly target: string | undefined;
  readonly standby: boolean;
}

const CONFIGURATION = ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'];
/** A standby does not archive. */
const BESIDE =
  "A copy beside the source must not archive into the source's prefix (archive_mode = off); a server that takes its place archives as it did.";
const OLD_SIGNALS = ['standby.signal', 'recovery.signal'];

export async function nextSteps(restored: NextSteps): Promise<string> {
  const autoConf = (await readAutoConf(restored.directory)) ?? '';
  const steps = [
    await configurationStep(restored),
    archivingStep(autoConf, restored),
    await inPlaceStep(restored),
    ...(restored.written === undefined
      ? await recoverySteps(restored, autoConf)
      : [writtenStep(restored, restored.written)]),
    environmentStep(restored),
    startStep(restored),
  ].filter((step) => step !== undefined);
  const list = steps.map((step, index) => `${index + 1}. ${step}\n`).join('');
  return `${restored.backup} is restored to ${restored.directory}. What is left to do:\n\n${list}`;
}

async function configurationStep({ directory, standby }: NextSteps): Promise<string | undefined> {
  const missing: string[] = [];
  for (const name of CONFIGURATION) if (!(await isThere(directory, name))) missing.push(name);
  if (missing.length === 0) return undefined;
  return `Put these files back, from your configuration management or another server; they are not in the backup:\n   ${missing.join(', ')}\n   (settings like max_connections must not be lower than on the source).${standby ? '' : `\n   ${BESIDE}`}`;
}

function archivingStep(autoConf: string, { standby }: NextSteps): string | undefined {
  const names = archivingSettings(autoConf);
  if (names.length === 0) return undefined;
  const what = standby ? 'The server archives so once it is promoted.' : BESIDE;
  return `Check postgresql.auto.conf: it came with the backup and sets ${names.join(', ')}.\n   ${what}`;
}

/** PostgreSQL does not end a recovery where such folders lie and it was not told of them. */
async function inPlaceStep({ directory }: NextSteps): Promise<string | undefined> {
  const entries = await ifThere(() => readdir(join(directory, 'pg_tblspc'), { withFileTypes: true }));
  const folders = (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (folders.length === 0) return undefined;
  return `Put allow_in_place_tablespaces = on into postgresql.conf: ${folders.join(', ')} in pg_tblspc are tablespaces inside of the data directory, as they were on the source.`;
}

async function recoverySteps(restored: NextSteps, autoConf: string): Promise<readonly string[]> {
  const { directory, version, restoreCommand } = restored;
  const lines = settingLines([['restore_command', restoreCommand]]).trimEnd();
  if (!recoversBySignalFile(version))
    return [`Write ${join(directory, 'recovery.conf')} (or run again with --recovery-conf):\n   ${lines}`];
  const old = obsoleteSettings(autoConf);
  const signals: string[] = [];
  for (const name of OLD_SIGNALS) if (await isThere(directory, name)) signals.push(name);
  return [
    ...(old.length === 0
      ? []
      : [`Check postgresql.auto.conf: it came with the backup and sets ${old.join(', ')}.`]),
    ...(signals.length === 0
      ? []
      : [`Check ${signals.join(' and ')}, already there: standby.signal makes the server a standby.`]),
    `Put into postgresql.conf (or run again with --recovery-conf):\n   ${lines}`,
    `Make the server recover: touch ${shellWord(join(directory, 'recovery.signal'))}`,
  ];
}

function writtenStep({ target, standby }: NextSteps, written: readonly string[]): string {
  const end = target === undefined ? 'to the end of the archived WAL' : `to ${target}, where it pauses`;
  const aim = standby ? 'as a standby' : end;
  return `Recovery is set up in ${written.join(' and ')}: the server will recover ${aim}. Nothing to do here.`;
}

function environmentStep({ variables }: NextSteps): string | undefined {
  if (variables.length === 0) return undefined;
  return `restore_command needs these variables in the server's environment (or use --envdir, which it then names itself):\n   ${variables.join(', ')}`;
}

function startStep({ directory, standby, target, version, written }: NextSteps): string {
  const { paused, resume } = replayFunctions(version);
  const ready =
    target === undefined || written === undefined
      ? `It is ready when "SELECT pg_is_in_recovery()" answers ${standby ? 't, for it stays a standby until it is promoted' : 'f'}.`
      : `It is at the target when "SELECT ${paused}()" answers t. Look whether it is the right one, then "SELECT ${resume}()" opens it.`;
  return `Start the server: pg_ctl -D ${shellWord(directory)} start\n   ${ready}`;
}

async function isThere(directory: string, name: string): Promise<boolean> {
  return (await ifThere(() => lstat(join(directory, name)))) !== undefined;
}
