/** What the environment says about base backups. */
import { SettingError } from '../errors.ts';
import type { Environment } from './settings.ts';

/**
 * WALE_FAST_CHECKPOINT: whether a backup starts with an immediate checkpoint. Off when it is not set, as in the
 * original and in pg_basebackup: a backup can wait some minutes, the users of the database should not notice it.
 */
export function fastCheckpoint(environment: Environment): boolean {
  const value = (environment.WALE_FAST_CHECKPOINT ?? '').trim().toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(value)) return true;
  if (['', '0', 'false', 'no', 'off'].includes(value)) return false;
  throw new SettingError('WALE_FAST_CHECKPOINT is neither on nor off', {
    detail: `It is "${value}".`,
    hint: 'Set it to 1 or 0.',
  });
}
