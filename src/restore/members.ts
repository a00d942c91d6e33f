/** What the restore knows about particular members: those that wait until the end, and those that have no place. */
import { CONTROL_FILE, RESTORE_MARKER, STAGED_CONTROL_FILE } from '../postgres/cluster-contents.ts';
import type { Member } from '../tar/member.ts';

/** The server starts on no data directory without its control file, so that waits under another name. */
export const STAGED: ReadonlyMap<string, string> = new Map([[CONTROL_FILE, STAGED_CONTROL_FILE]]);

/** Says in the target that the restore is not complete. */
export const MARKER_FILE = RESTORE_MARKER;
/** Begins the names under which it is written, of which a run that was killed may leave one. */
export const MARKER_LEFTOVER = `${MARKER_FILE}.`;

/** WAL directories: a symbolic link in the archive led to the source's, and the restored server needs its own. */
export const WAL_FOLDERS: readonly string[] = ['pg_wal', 'pg_xlog'];

/** What the restore reads again: a link would have it read something of this machine. */
const ALWAYS_FILES: readonly string[] = [CONTROL_FILE, 'PG_VERSION', 'backup_label', 'tablespace_map'];

const TABLESPACE = /^pg_tblspc\/([^/]+)/;

/**
 * For `Extractor`: `mounts` holds a directory for every tablespace of the plan. `inPlace`: the source's tablespaces are
 * all known, so that any other is a folder of the data directory (allow_in_place_tablespaces).
 */
export function refusal(
  mounts: ReadonlyMap<string, string>,
  inPlace: boolean,
): (member: Member) => string | undefined {
  return ({ path, kind }) => {
    if (path.startsWith(MARKER_FILE) || path === STAGED_CONTROL_FILE)
      return 'its name is one that the restore itself uses';
    if (kind !== 'file' && ALWAYS_FILES.includes(path)) return 'it must be a file';
    const oid = TABLESPACE.exec(path)?.[1];
    if (oid === undefined || inPlace || kind === 'symlink' || mounts.has(`pg_tblspc/${oid}`))
      return undefined;
    return `no place is known for the tablespace ${oid}; give it one with --tablespace`;
  };
}
