/**
 * Everything that differs between PostgreSQL's major versions and matters here, as one row of capabilities each. Nobody else
 * compares version numbers. Sources: PostgreSQL's release notes, `catversion.h`, `pg_control.h`.
 */
import { UserError } from '../errors.ts';

export interface Version {
  /** `9.6`, `10` ... `18`: the text of PG_VERSION in a data directory, and the first part of a tablespace's folder name. */
  readonly name: string;
  /** Smallest server_version_num of the major version. */
  readonly number: number;
  /** Format number in pg_control; several versions share one. */
  readonly controlVersion: number;
  readonly catalogVersion: number;
  /** A checkpoint's record in the WAL: header 24, data header 2, and the CheckPoint structure (pg_control.h). */
  readonly checkpointRecordBytes: number;
  /** Starts a non-exclusive backup; $1 the label, $2 whether the checkpoint is immediate; gives the start LSN as `lsn`. */
  readonly startBackup: string;
  /** Stops it without waiting for the archiver where the version lets us; gives `lsn`, `labelfile`, `spcmapfile`. */
  readonly stopBackup: string;
  /** The two functions, as GRANT EXECUTE names them. */
  readonly backupFunctions: readonly string[];
  /** pg_stop_backup waits for the archiver itself and cannot be told not to. */
  readonly stopWaitsForArchive: boolean;
  /** Settings of a server, a database or a role that end a statement or a session that takes long. */
  readonly timeouts: readonly string[];
  /** Settings of recovery are in postgresql.conf, with recovery.signal and standby.signal instead of recovery.conf. */
  readonly hasRecoverySignal: boolean;
}

const startExclusiveAware = 'select pg_start_backup($1, $2, false)::text as lsn';
const startPlain = 'select pg_backup_start($1, $2)::text as lsn';
const stopColumns = 'select lsn::text as lsn, labelfile, spcmapfile from';
const stopExclusiveAware = `${stopColumns} pg_stop_backup(false, false)`;
const stopPlain = `${stopColumns} pg_backup_stop(false)`;

const functionsExclusiveAware = [
  'pg_start_backup(text, boolean, boolean)',
  'pg_stop_backup(boolean, boolean)',
];
const functionsPlain = ['pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)'];

function version(
  name: string,
  controlVersion: number,
  catalogVersion: number,
  differences: Partial<Version> = {},
): Version {
  const number = name === '9.6' ? 90600 : Number(name) * 10_000;
  return {
    name,
    number,
    controlVersion,
    catalogVersion,
    checkpointRecordBytes: number >= 120_000 ? 114 : 106,
    startBackup: number >= 150_000 ? startPlain : startExclusiveAware,
    stopBackup: number >= 150_000 ? stopPlain : stopExclusiveAware,
    backupFunctions: number >= 150_000 ? functionsPlain : functionsExclusiveAware,
    stopWaitsForArchive: false,
    timeouts: [
      ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'],
      ...(number >= 140_000 ? ['idle_session_timeout'] : []),
      ...(number >= 170_000 ? ['transaction_timeout'] : []),
    ],
    hasRecoverySignal: number >= 120_000,
    ...differences,
  };
}

/** Ascending. */
export const VERSIONS: readonly Version[] = [
  version('9.6', 960, 201608131, {
    stopBackup: `${stopColumns} pg_stop_backup(false)`,
    backupFunctions: ['pg_start_backup(text, boolean, boolean)', 'pg_stop_backup(boolean)'],
    stopWaitsForArchive: true,
  }),
  version('10', 1002, 201707211),
  version('11', 1100, 201809051),
  version('12', 1201, 201909212),
  version('13', 1300, 202007201),
  version('14', 1300, 202107181),
  version('15', 1300, 202209061),
  version('16', 1300, 202307071),
  version('17', 1700, 202406281),
  version('18', 1800, 202506291),
];

/** By server_version_num, e.g. 180004. A version newer than all we know is refused: its backups were never tried. */
export function versionOfServer(versionNumber: number): Version {
  const major =
    versionNumber >= 100_000
      ? Math.trunc(versionNumber / 10_000) * 10_000
      : Math.trunc(versionNumber / 100) * 100;
  const found = VERSIONS.find(({ number }) => number === major);
  if (found === undefined) throw unsupported(`The server's version number is ${versionNumber}.`);
  return found;
}

/** By the catalog version in pg_control, which names the major version where the control version does not. */
export function versionOfCatalog(controlVersion: number, catalogVersion: number): Version {
  const found = VERSIONS.find(
    (row) => row.controlVersion === controlVersion && row.catalogVersion === catalogVersion,
  );
  if (found === undefined) {
    throw unsupported(`pg_control has version ${controlVersion} and catalog version ${catalogVersion}.`);
  }
  return found;
}

/**
 * By the text of PG_VERSION; also for versions that are not in the table, since archives of the original reach further
 * back: whether recovery is set up by signal files and settings, or by recovery.conf.
 */
export function recoversBySignalFile(name: string): boolean {
  const known = VERSIONS.find((row) => row.name === name);
  return known === undefined ? Number.parseFloat(name) >= 12 : known.hasRecoverySignal;
}

/** What tells that a recovery pauses, and what goes on with it, by the text of PG_VERSION. */
export function replayFunctions(name: string): { readonly paused: string; readonly resume: string } {
  const wal = Number.parseFloat(name) < 10 ? 'xlog' : 'wal';
  return { paused: `pg_is_${wal}_replay_paused`, resume: `pg_${wal}_replay_resume` };
}

function unsupported(detail: string): UserError {
  return new UserError('this version of PostgreSQL is not supported', {
    detail,
    hint: `Supported are the released versions ${VERSIONS[0]?.name} to ${VERSIONS.at(-1)?.name}.`,
  });
}
