/** `wal-e backup-fetch PGDATA NAME|LATEST`: restores a base backup. */
import { UsageError } from '../errors.ts';
import { recoversBySignalFile } from '../postgres/version.ts';
import { programCommand } from '../program.ts';
import { formatBytes, formatDuration } from '../progress.ts';
import { chooseBackup } from '../restore/choose.ts';
import { refuseCold } from '../restore/cold-parts.ts';
import { checkDecryption } from '../restore/decryption.ts';
import { describePlan } from '../restore/describe-plan.ts';
import { execute, type Restored } from '../restore/execute.ts';
import { nextSteps } from '../restore/next-steps.ts';
import { checkTarget, makePlan, type PlanWishes } from '../restore/plan.ts';
import { type RecoveryWishes, writeRecoveryConfiguration } from '../restore/recovery-configuration.ts';
import { describeTarget, parseTarget, type TargetOptions } from '../restore/recovery-target.ts';
import { neededVariables, restoreCommand } from '../restore/restore-command.ts';
import { parseTablespaceOptions } from '../restore/tablespaces.ts';
import { checkWal } from '../restore/wal-check.ts';
import type { Context } from './context.ts';

export interface BackupFetchArguments extends TargetOptions {
  readonly clusterDirectory: string;
  readonly backupName: string;
  readonly poolSize: number;
  readonly blindRestore: boolean;
  readonly restoreSpec: string | undefined;
  readonly tablespace: readonly string[];
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly recoveryConf: boolean;
  readonly standby: boolean;
}

export async function run(args: BackupFetchArguments, context: Context): Promise<number> {
  const log = context.log.named('wal_e.operator.backup');
  const { signal, settings } = context;
  const wishes = planWishes(args);
  const recovery = recoveryWishes(args, context);
  const target = await checkTarget(wishes);
  const store = await context.openStore();
  const choice = await chooseBackup(store, args.backupName, recovery.target, { log, signal });
  const { backup } = choice;
  const plan = await makePlan(backup, target, wishes, { signal });
  await refuseCold(plan, store, { signal });
  await checkDecryption(plan, store, { signal });
  const wal = await checkWal(store, backup, choice.target, { log, signal, follows: args.recoveryConf });
  if (args.dryRun) {
    await context.print(describePlan(plan, wal));
    return 0;
  }
  log.info('beginning the restore', {
    detail: `Restoring "${backup.name}" to "${plan.target.directory}".`,
    structured: { action: 'backup-fetch', state: 'begin', name: backup.name },
  });
  const { directory } = plan.target;
  let written: readonly string[] | undefined;
  const configure = async ({ owner, version }: Restored) => {
    if (!args.recoveryConf) return;
    written = await writeRecoveryConfiguration(directory, recoversBySignalFile(version), recovery, owner);
  };
  const poolSize = Math.max(1, args.poolSize);
  const done = await execute(plan, { store, log, signal, poolSize, configure });
  log.info('completed the restore', {
    detail: `Restored "${backup.name}": ${formatBytes(done.bytes)} in ${formatDuration(done.seconds)} (${formatBytes(done.bytes / Math.max(done.seconds, 0.001))}/s).`,
    structured: { action: 'backup-fetch', state: 'complete', name: backup.name },
  });
  const steps = await nextSteps({
    directory,
    backup: backup.name,
    version: done.version,
    restoreCommand: recovery.restoreCommand,
    written,
    variables: neededVariables(settings),
    target: describeTarget(recovery.target),
    standby: recovery.standby,
  });
  await context.print(steps);
  return 0;
}

function planWishes(args: BackupFetchArguments): PlanWishes {
  if (args.restoreSpec !== undefined && args.blindRestore)
    throw new UsageError('give --blind-restore or --restore-spec, not both');
  return {
    directory: args.clusterDirectory,
    restoreSpec: args.restoreSpec,
    blind: args.blindRestore,
    tablespaces: parseTablespaceOptions(args.tablespace),
    force: args.force,
  };
}

function recoveryWishes(args: BackupFetchArguments, { settings }: Context): RecoveryWishes {
  const target = parseTarget(args);
  const early = describeTarget(target) !== undefined;
  if (!args.recoveryConf && (early || args.standby || args.targetTimeline !== undefined))
    throw new UsageError('a recovery target and --standby need --recovery-conf', {
      hint: 'Without it nothing is written that would tell the server.',
    });
  if (args.standby && early)
    throw new UsageError('give --standby or a recovery target, not both', {
      hint: 'A standby follows the WAL for ever; it has no target.',
    });
  return { restoreCommand: restoreCommand(programCommand(), settings), standby: args.standby, target };
}
