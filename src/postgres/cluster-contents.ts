/**
 * What of a data directory is no part of a base backup. Sources: PostgreSQL's documentation ("Backing Up the Data
 * Directory", and the lists of pg_basebackup), and what WAL-E leaves out so that a restored copy does not archive into
 * its source's prefix. Paths are relative to the data directory.
 */
import { OWN_FOLDER } from '../program.ts';

/** Folders whose entry is kept and whose contents are not. */
const EMPTIED = new Set([
  ...['pg_wal', 'pg_xlog', 'pg_log', 'pg_replslot', 'pg_dynshmem', 'pg_notify'],
  ...['pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans'],
]);
const EMPTIED_ANYWHERE = new Set(['pg_stat_tmp', OWN_FOLDER]);

const CONFIGURATION = new Set(['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']);

/** Of the server that runs here, or of a recovery of the past: wrong in any copy. */
const DROPPED = new Set([
  ...[
    'postmaster.pid',
    'postmaster.opts',
    'recovery.conf',
    'recovery.done',
    'recovery.signal',
    'standby.signal',
  ],
  // The label and the map of this backup come from the server; those on disk are of another one.
  ...['backup_label', 'backup_label.old', 'tablespace_map', 'tablespace_map.old', 'backup_manifest'],
  ...['promote', 'postgresql.auto.conf.tmp', 'current_logfiles.tmp'],
]);

const DROPPED_ANYWHERE = /^(?:lost\+found$|pgsql_tmp|pg_internal\.init|\.s\.PGSQL\.)/;

/** Read after everything else, since recovery trusts it. */
export const CONTROL_FILE = 'global/pg_control';

/**
 * What backup-fetch has in a directory until the restore is complete. A run that is killed in its very last moment leaves
 * the first in a directory that a server starts on; a backup that held one of them would be refused by the next restore.
 */
export const RESTORE_MARKER = 'wal-e-restore-incomplete.json';
export const STAGED_CONTROL_FILE = 'global/pg_control.wal-e-restore';

/** Is the entry itself left out? */
export function isLeftOut(path: string, withConfig: boolean): boolean {
  if (DROPPED.has(path) || path === CONTROL_FILE || path === STAGED_CONTROL_FILE) return true;
  if (path.startsWith(RESTORE_MARKER)) return true;
  if (CONFIGURATION.has(path)) return !withConfig;
  return DROPPED_ANYWHERE.test(path.slice(path.lastIndexOf('/') + 1));
}

/** Is what is in this folder left out? */
export function isEmptied(folder: string): boolean {
  return EMPTIED.has(folder) || EMPTIED_ANYWHERE.has(folder.slice(folder.lastIndexOf('/') + 1));
}
