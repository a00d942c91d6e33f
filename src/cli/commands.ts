/** The verbs. Each is loaded when it is called. */
import { type Commands, command } from './command.ts';
import { flag, integer, onOff, required, text, texts } from './option.ts';

export const commands: Commands = {
  version: command({
    summary: 'print the version',
    quick: true,
    positionals: {},
    options: {},
    load: () => import('../commands/version.ts'),
  }),
  'wal-push': command({
    summary: 'archive a WAL file; for archive_command',
    epilogue: `Exit status: 0 when WAL_SEGMENT is durably in the archive, 1 when it is not.
Further segments that wait are archived along with it, up to --pool-size in all.`,
    quick: true,
    positionals: {
      walSegment: required('WAL_SEGMENT', 'path of the file: %p in archive_command'),
    },
    options: {
      poolSize: integer('N', 'files to archive by one call', { default: 32, short: 'p' }),
      markDone: onOff(
        'tell PostgreSQL that the further segments are archived; without either: only where archive_command is proven to be nothing but this command',
      ),
    },
    load: () => import('../commands/wal-push.ts'),
  }),
  'backup-push': command({
    summary: 'take a base backup of a running or a stopped server',
    epilogue: `Exit status: 0 when the backup is complete, 1 when it is not, or when it is and pages of the cluster have wrong checksums.
The server is found as psql finds it: PGHOST, PGPORT, PGUSER, PGPASSWORD, .pgpass.`,
    positionals: {
      clusterDirectory: required('PG_CLUSTER_DIRECTORY', 'the data directory of the server'),
    },
    options: {
      poolSize: integer('N', 'parts that are made and uploaded at once', {
        default: 4,
        minimum: 1,
        short: 'p',
      }),
      clusterReadRateLimit: integer('BYTES_PER_SECOND', 'read the cluster no faster than this', {
        default: undefined,
        minimum: 1,
      }),
      whileOffline: flag('the server is shut down'),
      fastCheckpoint: onOff(
        'begin with an immediate checkpoint; without either: as WALE_FAST_CHECKPOINT says, else spread so that it disturbs nobody',
      ),
      withConfig: flag('back up postgresql.conf, pg_hba.conf and pg_ident.conf too'),
      failOnChecksum: flag('stop at a page with a wrong checksum, instead of recording it'),
      walCheck: onOff('wait until the archive has the WAL that the backup needs; on unless switched off'),
      walTimeout: integer('SECONDS', 'how long to wait for each next segment of that WAL', {
        default: 600,
        minimum: 1,
      }),
    },
    load: () => import('../commands/backup-push.ts'),
  }),
  'backup-fetch': command({
    summary: 'restore a base backup',
    epilogue: `Exit status: 0 when the backup is restored, 1 when it is not; then the directory says so, and the same command goes on.`,
    positionals: {
      clusterDirectory: required(
        'PG_CLUSTER_DIRECTORY',
        'where it is restored to: an empty or a new directory',
      ),
      backupName: required('BACKUP_NAME', 'its name, or LATEST'),
    },
    options: {
      poolSize: integer('N', 'parts fetched at once', { default: 4, minimum: 1, short: 'p' }),
      blindRestore: flag('put tablespaces that have no prepared link into the data directory'),
      restoreSpec: text('FILE|SOURCE', 'where tablespaces go: a JSON file, or SOURCE for where they were'),
      tablespace: texts('OID=DIR', 'where one tablespace goes; repeatable'),
      force: flag('restore over what is in the directory; removes nothing that is not in the backup'),
      dryRun: flag('show what would be done, and write nothing'),
      recoveryConf: flag('write what makes the server recover from the archive'),
      standby: flag('with --recovery-conf: recover as a standby'),
      targetTime: text('TIME', 'with --recovery-conf: recover to this time, as 2026-11-21T08:00:00Z'),
      targetLsn: text('LSN', 'with --recovery-conf: recover to this WAL position'),
      targetName: text('NAME', 'with --recovery-conf: recover to this restore point'),
      targetTimeline: text(
        'TIMELINE',
        'with --recovery-conf: follow this timeline: a number, latest or current',
      ),
    },
    load: () => import('../commands/backup-fetch.ts'),
  }),
};
