/** Whether the store keeps what a plan removes, so that its bytes are not free yet. */
import { type Key, sentinelKey } from '../archive/layout.ts';
import { StoreError } from '../errors.ts';
import type { Call, Store } from '../store/store.ts';
import { doomedSentinels } from './doomed.ts';
import type { Plan } from './plan.ts';

export const VERSIONS_LINE =
  'The bucket keeps versions: what is deleted stays there as older versions, and its room is taken until a lifecycle rule removes them.\n';

/**
 * As one of the newest objects that go tells: S3 gives the version of an object with it where the bucket has versioning,
 * which can be asked for without a right of its own. undefined: nothing goes.
 */
export async function keepsVersions(newest: Key | undefined, store: Store, call: Call): Promise<boolean> {
  if (newest === undefined) return false;
  try {
    return (await store.head(newest, call))?.keepsVersions ?? false;
  } catch (error) {
    if (!(error instanceof StoreError) || error.unavailable || call.signal.aborted) throw error;
    return false;
  }
}

export function newestDoomed(plan: Plan): Key | undefined {
  const backup = doomedSentinels(plan).at(-1);
  return backup === undefined ? plan.tally.lastRemoved : sentinelKey(backup);
}
