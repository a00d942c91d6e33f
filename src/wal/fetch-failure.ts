/**
 * The exit status of a wal-fetch that failed. PostgreSQL takes 1 to 125 of a restore_command for "there is no such
 * file" and above 125 for "stop" (RestoreArchivedFile in xlogarchive.c). In archive recovery "there is none" ends the
 * recovery, and the server is promoted with data missing: a failure must stop it. A standby only asks again.
 */
import { callingServerDirectory } from '../postgres/process-tree.ts';
import { type RecoveryMode, recoveryMode } from '../postgres/recovery-mode.ts';
import { fetchErrorExit } from '../settings/fetch.ts';
import type { Environment } from '../settings/settings.ts';
import { dataDirectoryOf } from './destination.ts';

const MOST_FOR_ABSENT = 125;
const STOP_RECOVERY = 200;
const ASK_AGAIN = 1;
const BY_HAND = 2;

/**
 * `status`: what the failure exits with elsewhere; above 125 it is a signal's, and stays. `destination`: the path that
 * was asked for, if any.
 */
export function fetchFailureStatus(
  status: number,
  environment: Environment,
  destination: string | undefined,
): number {
  if (status > MOST_FOR_ABSENT) return status;
  try {
    const override = fetchErrorExit(environment);
    if (override !== undefined) return override;
  } catch {
    // A value that makes no sense is reported where it is read; it must not hide what the server needs to know.
  }
  switch (modeOfServer(destination)) {
    case 'archive recovery':
      return STOP_RECOVERY;
    case 'standby':
      return ASK_AGAIN;
    case 'none':
      return BY_HAND;
  }
}

/**
 * PostgreSQL runs its commands in the data directory, which a script may have left: then a destination that was made
 * absolute tells, or the server that started the script.
 */
function modeOfServer(destination: string | undefined): RecoveryMode {
  return (
    knownMode('.') ??
    (destination === undefined ? undefined : knownMode(dataDirectoryOf(destination))) ??
    knownMode(callingServerDirectory()) ??
    'none'
  );
}

/** What cannot be read must not end a recovery. */
function knownMode(folder: string | undefined): RecoveryMode | undefined {
  try {
    const mode = folder === undefined ? 'none' : recoveryMode(folder);
    return mode === 'none' ? undefined : mode;
  } catch {
    return 'archive recovery';
  }
}
