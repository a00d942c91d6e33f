/** `wal-fetch`: WALE_FETCH_ERROR_EXIT. */
import { SettingError } from '../errors.ts';
import type { Environment } from './settings.ts';

const VARIABLE = 'WALE_FETCH_ERROR_EXIT';

/** The status for a fetch that failed, 1 to 255; undefined: not set. Throws SettingError for anything else. */
export function fetchErrorExit(environment: Environment): number | undefined {
  const text = environment[VARIABLE];
  if (text === undefined || text === '') return undefined;
  const status = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (status >= 1 && status <= 255) return status;
  throw new SettingError(`${VARIABLE} is not an exit status for a failure`, {
    detail: `It is "${text}", and must be a number from 1 to 255.`,
  });
}
