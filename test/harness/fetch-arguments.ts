import type { BackupFetchArguments } from '../../src/commands/backup-fetch.ts';

/** What `backup-fetch DIRECTORY LATEST` without options means. */
export const PLAIN_FETCH: Omit<BackupFetchArguments, 'clusterDirectory'> = {
  backupName: 'LATEST',
  poolSize: 2,
  blindRestore: false,
  restoreSpec: undefined,
  tablespace: [],
  force: false,
  dryRun: false,
  recoveryConf: false,
  standby: false,
  targetTime: undefined,
  targetLsn: undefined,
  targetName: undefined,
  targetTimeline: undefined,
};
