/** Parts in cold storage: to wait for hours at the first of them, after the rest was restored, helps nobody. */
import { coldAmong, coldCounts, describeCold, isSentinelCold } from '../archive/cold-storage.ts';
import { UserError } from '../errors.ts';
import { type Call, type ColdObject, type Store, urlOf } from '../store/store.ts';
import { isComplete } from './marker.ts';
import type { Plan } from './plan.ts';

const HINT =
  'Nothing was written. Bring them back (aws s3api restore-object) for longer than the restore takes, wait, and run the same command again: docs/stores.md, "Cold storage". Or name another backup: wal-e backup-list --pretty tells which are in cold storage.';

/** Asks of those parts only that are still to be fetched and that were listed as being there. Throws UserError. */
export async function refuseCold(plan: Plan, store: Store, call: Call): Promise<void> {
  const { backup, parts, resumed } = plan;
  const left = new Set<string>(
    parts.filter((part) => resumed === undefined || !isComplete(resumed, part)).map(({ key }) => key),
  );
  const listed = backup.parts.filter(({ key }) => left.has(key));
  const cold = await coldAmong(store, listed, call);
  const [first] = cold;
  if (first === undefined) return;
  throw new UserError('the base backup is in cold storage', {
    detail: `Of "${backup.name}", ${cold.length} of ${left.size} parts that are to be fetched cannot be read before they are brought back${onTheWay(cold)}: the first is ${urlOf(store, first.key)} (${first.place}).`,
    hint: HINT,
  });
}

function onTheWay(cold: readonly ColdObject[]): string {
  const count = cold.filter(({ returning }) => returning).length;
  return count === 0 ? '' : `, which was asked for ${count === cold.length ? 'all' : `${count}`} of them`;
}

/** Where not even the sentinel can be read; undefined when it was something else that failed. */
export function coldSentinel(
  { name, parts, sentinel, reading }: Plan['backup'],
  store: Store,
): UserError | undefined {
  if (reading.kind !== 'unreadable' || !isSentinelCold(reading)) return undefined;
  const others = describeCold(coldCounts(parts));
  return new UserError('the base backup is in cold storage', {
    detail: `The sentinel of "${name}", ${urlOf(store, sentinel?.key ?? name)}, cannot be read before it is brought back${others === undefined ? '' : `; and there are ${others}`}.`,
    hint: HINT,
    cause: reading.error,
  });
}
