/** Whether this machine can decrypt the backup: said before anything is written. */
import { checkReadable } from '../crypt/gpg.ts';
import { StoreError, UserError } from '../errors.ts';
import { type Call, type Store, urlOf } from '../store/store.ts';
import { isComplete } from './marker.ts';
import type { Plan } from './plan.ts';

/** The beginning of one part tells: they were all encrypted by one run of backup-push. Throws UserError. */
export async function checkDecryption({ parts, resumed }: Plan, store: Store, call: Call): Promise<void> {
  const part = parts.find((one) => resumed === undefined || !isComplete(resumed, one));
  const found = part && (await store.get(part.key, call));
  if (found === undefined) return;
  await checkReadable(found.body, call).catch((error: unknown) => {
    if (!(error instanceof UserError) || error instanceof StoreError) throw error;
    const detail = `${urlOf(store, found.key)} is encrypted. ${error.detail ?? ''}`.trim();
    throw new UserError(error.message, { detail, hint: error.hint, cause: error });
  });
}
