/**
 * The last step of a backup: its sentinel, which makes it exist. The parts are looked at just before it, since the
 * archiver may have taken days and whoever deletes left-overs may have taken them for some; and once more behind it: a
 * `delete` at work in that moment looks for the sentinel behind the parts, so that one of the two notices.
 */
import { readSentinelText } from '../archive/catalog.ts';
import { type BackupName, sentinelKey } from '../archive/layout.ts';
import { DataError, UserError } from '../errors.ts';
import type { Store } from '../store/store.ts';

export interface SentinelPut {
  readonly store: Store;
  /** Throws DataError when the parts in the store are not those that were uploaded. */
  readonly checkParts: () => Promise<void>;
  readonly signal: AbortSignal;
}

const CLEAN_UP_MS = 30_000;

export async function storeSentinel(
  name: BackupName,
  text: string,
  { store, checkParts, signal }: SentinelPut,
): Promise<void> {
  await checkParts();
  const key = sentinelKey(name);
  const put = { createOnly: true, contentType: 'application/json', signal } as const;
  const result = await store.put(key, [Buffer.from(text)], put);
  // An answer that got lost makes the store repeat a put that was done.
  if (result === 'exists' && (await readSentinelText(store, name, { signal })) !== text) {
    throw new UserError('a backup of the same name was completed meanwhile', {
      detail: `The sentinel of ${name} is there already.`,
      hint: 'Find out who else writes to this prefix: the parts of the two backups may be mixed.',
    });
  }
  try {
    await checkParts();
  } catch (error) {
    // A listed backup that cannot be restored is worse than none.
    if (error instanceof DataError) await store.remove([key], { signal: AbortSignal.timeout(CLEAN_UP_MS) });
    throw error;
  }
}
