/** What is left to do after a restore, for the person who does it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { obsoleteSettings, settingLines } from './recovery-configuration.ts';
import { ifThere } from './target.ts';

export interface Restored {
  readonly directory: string;
  readonly backup: string;
  readonly hasRecoverySignal: boolean;
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

export async function nextSteps(restored: Restored): Promise<string> {
  const steps = [
    await configurationStep(restored),
    ...(restored.written === undefined
      ? await recoverySteps(restored)
      : [writtenStep(restored, restored.written)]),
    environmentStep(restored),
    startStep(restored),
  ].filter((step) => step !== undefined);
  const list = steps.map((step, index) => `${index + 1}. ${step}\n`).join('');
  return `${restored.backup} is restored to ${restored.directory}. What is left to do:\n\n${list}`;
}

async function configurationStep({ directory }: Restored): Promise<string | undefined> {
  const missing: string[] = [];
  for (const name of CONFIGURATION) {
    if ((await ifThere(() => readFile(join(directory, name)))) === undefined) missing.push(name);
  }
  if (missing.length === 0) return undefined;
  return `Put these files back, from your configuration management or another server; they are not in the backup:\n   ${missing.join(', ')}\n   (settings like max_connections must not be lower than on the source; archive_command must not push into the source's prefix).`;
}

async function recoverySteps(restored: Restored): Promise<readonly string[]> {
  const lines = settingLines([['restore_command', restored.restoreCommand]]).trimEnd();
  if (!restored.hasRecoverySignal)
    return [
      `Write ${join(restored.directory, 'recovery.conf')} (or run again with --recovery-conf):\n   ${lines}`,
    ];
  const text = await ifThere(() => readFile(join(restored.directory, 'postgresql.auto.conf'), 'utf8'));
  const old = [...new Set(obsoleteSettings(text ?? ''))];
  const warning =
    old.length === 0
      ? []
      : [`Check postgresql.auto.conf: it came with the backup and sets ${old.join(', ')}.`];
  return [
    ...warning,
    `Put into postgresql.conf (or run again with --recovery-conf):\n   ${lines}`,
    `Make the server recover: touch ${join(restored.directory, 'recovery.signal')}`,
  ];
}

function writtenStep({ target, standby }: Restored, written: readonly string[]): string {
  const end =
    target === undefined
      ? 'to the end of the archived WAL'
      : `to ${target}, where it pauses (then: SELECT pg_wal_replay_resume())`;
  const aim = standby ? 'as a standby' : end;
  return `Recovery is set up in ${written.join(' and ')}: the server will recover ${aim}. Nothing to do here.`;
}

function environmentStep({ variables }: Restored): string | undefined {
  if (variables.length === 0) return undefined;
  return `restore_command needs these variables in the server's environment (or use --envdir, which it then names itself):\n   ${variables.join(', ')}`;
}

function startStep({ directory, standby }: Restored): string {
  const answer = standby ? 't, for it stays a standby until it is promoted' : 'f';
  return `Start the server: pg_ctl -D ${directory} start\n   It is ready when "SELECT pg_is_in_recovery()" answers ${answer}.`;
}
