/** Opens the store that a storage prefix names; each store is loaded only when it is used. */
import type { Log } from '../log.ts';
import type { StoragePrefix } from '../settings/prefix.ts';
import { readRetrySettings } from '../settings/retry.ts';
import type { Settings } from '../settings/settings.ts';
import type { Store } from './store.ts';

export interface OpenOptions {
  /** Hears of every attempt that failed and is repeated. */
  readonly log: Log;
  /** PostgreSQL waits for the command, which therefore has a deadline unless WALE_DEADLINE says otherwise. */
  readonly waitedFor: boolean;
  /** A folder for notes on what the store was seen to do, which need not be there; without one nothing is remembered. */
  readonly notesFolder?: string | undefined;
}

export async function openStore(
  prefix: StoragePrefix,
  settings: Settings,
  options: OpenOptions,
): Promise<Store> {
  if (prefix.scheme === 'file') {
    const { openFileStore } = await import('./file-deadline.ts');
    const { deadlineMs } = readRetrySettings(settings.environment, options.waitedFor);
    return openFileStore(prefix.path, { ms: deadlineMs });
  }
  const { openS3Store } = await import('./s3/open.ts');
  return openS3Store(prefix.url, settings, options);
}
