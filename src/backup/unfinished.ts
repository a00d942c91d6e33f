/**
 * What a backup without a sentinel has in the archive. Nobody can restore it, and it takes the room that WAL needs: on a full
 * disk the database would stop for the sake of a backup that is none.
 */
import { BACKUP_PREFIX, type BackupName, listedKey } from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Call, type ObjectInfo, type Store, urlOf } from '../store/store.ts';

/** What a failed backup waits for at most, whose server or operator may wait for its end. */
const WITHDRAWAL_MS = 30_000;

/** Pages of all that the backup has but its sentinel. */
export function objectsOf(
  backup: BackupName,
  store: Store,
  call: Call,
): AsyncIterable<readonly ObjectInfo[]> {
  return store.list(`${BACKUP_PREFIX}${backup}/`, call);
}

/** Throws UserError when the store refuses one. */
export async function removePage(page: readonly ObjectInfo[], store: Store, call: Call): Promise<void> {
  const keys = page.map(({ key }) => listedKey(key));
  const [failure] = await store.remove(keys, call);
  if (failure === undefined) return;
  throw new UserError('could not remove what an unfinished backup left', {
    detail: `"${urlOf(store, failure.key)}": ${failure.reason}`,
  });
}

/** Takes back what a backup has stored that is going to fail; never fails itself. Only for names that nobody else uses. */
export async function withdraw(backup: BackupName, store: Store, log: Log): Promise<void> {
  const call = { signal: AbortSignal.timeout(WITHDRAWAL_MS) };
  let removed = 0;
  try {
    for await (const page of objectsOf(backup, store, call)) {
      await removePage(page, store, call);
      removed += page.length;
    }
    log.info('removed what the failed backup had stored', {
      detail: `${removed} objects of ${backup}.`,
    });
  } catch (error) {
    const { message, detail } = error instanceof UserError ? error : { message: String(error) };
    log.warning('what the failed backup had stored could not be removed', {
      detail: `${backup}: ${[message, detail].filter(Boolean).join(': ')}`,
      hint: '"wal-e delete" takes it when it is seven days old.',
    });
  }
}
