/** How often and how long a store is asked again: WALE_RETRIES, WALE_DEADLINE. */
import { SettingError } from '../errors.ts';
import type { Environment } from './settings.ts';

export interface RetrySettings {
  /** Attempts of one operation, the first included; Infinity for no limit. */
  readonly attempts: number;
  /** Milliseconds that a whole command may take; undefined for no limit. */
  readonly deadlineMs: number | undefined;
}

const DEFAULT_ATTEMPTS = 100;
/** For what PostgreSQL waits for: it asks again itself; this is for it to learn that something is wrong. */
const WAITED_FOR_SECONDS = 600;

/**
 * WALE_RETRIES as in the original: attempts, 1 for no retry, 0 or less for no limit. WALE_DEADLINE: seconds, 0 for none.
 * `waitedFor`: by PostgreSQL; other commands have no deadline unless one is set.
 */
export function readRetrySettings(environment: Environment, waitedFor = false): RetrySettings {
  const attempts = wholeNumber(environment, 'WALE_RETRIES') ?? DEFAULT_ATTEMPTS;
  const seconds = wholeNumber(environment, 'WALE_DEADLINE') ?? (waitedFor ? WAITED_FOR_SECONDS : 0);
  return {
    attempts: attempts <= 0 ? Number.POSITIVE_INFINITY : attempts,
    deadlineMs: seconds <= 0 ? undefined : seconds * 1000,
  };
}

function wholeNumber(environment: Environment, name: string): number | undefined {
  const text = environment[name]?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^[+-]?\d{1,9}$/.test(text)) return Number(text);
  throw new SettingError(`${name} is not a whole number`, {
    detail: `The value is ${JSON.stringify(text)}.`,
    hint: `Set the environment variable ${name} to a whole number, or unset it.`,
  });
}
