/** What the server whose data directory this is does with a restore_command (PostgreSQL: StartupXLOG, readRecoverySignalFile). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../errno.ts';

/**
 * `archive recovery`: it ends where the archive ends. `standby`: it asks again and again; this wins when both are asked
 * for. `none`: it does not recover, or this is no data directory.
 */
export type RecoveryMode = 'archive recovery' | 'standby' | 'none';

export function recoveryMode(dataDirectory: string): RecoveryMode {
  if (existsSync(join(dataDirectory, 'standby.signal'))) return 'standby';
  if (existsSync(join(dataDirectory, 'recovery.signal'))) return 'archive recovery';
  const recoveryConf = readIfThere(join(dataDirectory, 'recovery.conf'));
  if (recoveryConf === undefined) return 'none';
  return isStandby(recoveryConf) ? 'standby' : 'archive recovery';
}

/** Before PostgreSQL 12. A boolean may be cut to any unambiguous beginning; the last line counts. */
function isStandby(recoveryConf: string): boolean {
  let standby = false;
  for (const line of recoveryConf.split('\n')) {
    const value = /^\s*standby_mode\s*(?:=\s*|\s)\s*'?([A-Za-z0-9]+)'?/i.exec(line)?.[1];
    if (value !== undefined) standby = /^(on|1|t|tr|tru|true|y|ye|yes)$/i.test(value);
  }
  return standby;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
