/** The S3 store as a command uses it: settings read and checked, retries logged, a deadline for who waits. */
import { readRetrySettings } from '../../settings/retry.ts';
import { readS3Settings } from '../../settings/s3.ts';
import type { Settings } from '../../settings/settings.ts';
import type { OpenOptions } from '../open.ts';
import { createRetry } from '../retrying.ts';
import type { Store } from '../store.ts';
import { createS3Store } from './store.ts';

/** `url` is the storage prefix. Throws SettingError for what is missing or wrong, before anything is asked of the store. */
export function openS3Store(
  url: string,
  { environment, options }: Settings,
  { log, waitedFor, notesFolder }: OpenOptions,
): Store {
  const settings = readS3Settings(url, environment, options);
  const retry = createRetry({
    ...readRetrySettings(environment, waitedFor),
    onRetry: ({ error, number, delayMs }) =>
      log.warning(`${error.message}; trying again`, {
        detail: error.detail,
        hint: error.hint,
        structured: { attempt: number, delay_ms: Math.round(delayMs) },
      }),
  });
  return createS3Store({ settings, retry, notesFolder });
}
