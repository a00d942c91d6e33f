/**
 * The exit status of a wal-fetch that failed. PostgreSQL takes 1 to 125 of a restore_command for "there is no such
 * file" and above 125 for "stop" (RestoreArchivedFile in xlogarchive.c). In archive recovery "there is none" ends the
 * recovery, and the server is promoted with data missing: a failure must stop it. A standby only asks again.
 */
import { recoveryMode } from '../postgres/recovery-mode.ts';
import { fetchErrorExit } from '../settings/fetch.ts';
import type { Environment } from '../settings/settings.ts';

const MOST_FOR_ABSENT = 125;
const STOP_RECOVERY = 200;
const ASK_AGAIN = 1;
const BY_HAND = 2;

/** `status`: what the failure exits with elsewhere; above 125 it is a signal's, and stays. */
export function fetchFailureStatus(
  status: number,
  environment: Environment,
  workingDirectory: string,
): number {
  if (status > MOST_FOR_ABSENT) return status;
  try {
    const override = fetchErrorExit(environment);
    if (override !== undefined) return override;
  } catch {
    // A value that makes no sense is reported where it is read; it must not hide what the server needs to know.
  }
  switch (recoveryMode(workingDirectory)) {
    case 'archive recovery':
      return STOP_RECOVERY;
    case 'standby':
      return ASK_AGAIN;
    case 'none':
      return BY_HAND;
  }
}
