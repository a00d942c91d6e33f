/** The verbs. Each is loaded when it is called. */
import { type Commands, command } from './command.ts';
import { deleteGroup } from './delete-group.ts';
import { flag, integer, onOff, optional, required, text, texts } from './option.ts';

/** What would make PostgreSQL's archiver give up and restart: exit statuses above 125. */
const MOST_FOR_ARCHIVER = 125;

export const commands: Commands = {
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
  'backup-list': command({
    summary: 'list the base backups of the archive',
    positionals: { query: optional('QUERY', 'the name of a backup, or LATEST; without it all are listed') },
    options: {
      detail: flag('fill the columns for which each sentinel must be read'),
      json: flag('everything that is known, as JSON'),
      pretty: flag('a table for people'),
      all: flag('also backups without a sentinel: those that are being made, and those that failed'),
    },
    load: () => import('../commands/backup-list.ts'),
  }),
  delete: deleteGroup,
  'wal-push': command({
    summary: 'archive a WAL file; for archive_command',
    epilogue: `Exit status: 0 when WAL_SEGMENT is durably in the archive, 1 when it is not.
Further segments that wait are archived along with it, up to --pool-size in all.`,
    quick: true,
    failureStatus: async (status) => (status > MOST_FOR_ARCHIVER ? 1 : status),
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
  'wal-fetch': command({
    summary: 'fetch a WAL file from the archive; for restore_command',
    epilogue: `Exit status: 0 when the file is at WAL_DESTINATION, 1 when the archive does not have it. Any other failure
exits with 200 in archive recovery, so that PostgreSQL stops instead of ending recovery early, with 1
on a standby, which asks again, and with 2 elsewhere; WALE_FETCH_ERROR_EXIT overrides all three.`,
    quick: true,
    askAgainStatus: 1,
    failureStatus: async (status, environment, argv) => {
      const { fetchFailureStatus } = await import('../wal/fetch-failure.ts');
      return fetchFailureStatus(status, environment, argv.at(-1));
    },
    positionals: {
      walSegment: required('WAL_SEGMENT', 'name of the file: %f in restore_command'),
      walDestination: required('WAL_DESTINATION', 'path to put it: %p in restore_command'),
    },
    options: {
      prefetch: integer('N', 'segments to fetch ahead', { default: 8, short: 'p' }),
    },
    load: () => import('../commands/wal-fetch.ts'),
  }),
  'wal-prefetch': command({
    summary: 'fetch WAL segments ahead; started by wal-fetch',
    quick: true,
    positionals: {
      baseDirectory: required('BASE_DIRECTORY', 'folder that wal-fetch puts segments in'),
      segment: required('SEGMENT', 'first segment to fetch'),
    },
    options: {
      count: integer('N', 'segments to hold ready', { default: 1, minimum: 1 }),
      segmentBytes: integer('BYTES', 'size of a segment; 16 MB unless said', { default: undefined }),
    },
    load: () => import('../commands/wal-prefetch.ts'),
  }),
  'wal-verify': command({
    summary:
      'check that every backup can be restored to the end of the WAL: gaps, short, damaged and foreign objects',
    epilogue: `Exit status: 0 when all is well; 1 when a backup cannot be restored to the end of the WAL, or an object is damaged.`,
    positionals: {},
    options: {
      json: flag('everything that was found, as JSON'),
      pretty: flag('tables for people; the default'),
      read: flag('also read every object to its end and check it'),
      readPart: text('N/T', 'read the N-th of T parts of the objects, e.g. 3/7 today and 4/7 tomorrow'),
    },
    load: () => import('../commands/wal-verify.ts'),
  }),
  check: command({
    summary: 'tell whether this machine can archive and restore',
    epilogue: 'Exit status: 0 when everything is ok, 1 with warnings, 2 when something failed.',
    positionals: {},
    options: {
      json: flag('print one JSON object'),
      maxBackupAge: integer('HOURS', 'warn when the newest base backup is older', {
        default: 48,
        minimum: 1,
      }),
      withoutPostgres: flag('ask no server: for a machine that only restores'),
    },
    load: () => import('../commands/check.ts'),
  }),
  completion: command({
    summary: 'print the completion script for bash and zsh',
    epilogue: 'Into the running shell: source <(wal-e completion)',
    quick: true,
    positionals: {},
    options: {},
    load: () => import('./completion.ts'),
  }),
  version: command({
    summary: 'print the version',
    quick: true,
    positionals: {},
    options: {},
    load: () => import('../commands/version.ts'),
  }),
};
