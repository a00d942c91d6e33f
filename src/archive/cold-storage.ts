/** Objects that the store keeps in cold storage: what a listing tells of them, and what the store says when it is asked. */
import { StoreError } from '../errors.ts';
import type { Call, ColdObject, ObjectInfo, Store } from '../store/store.ts';
import type { SentinelReading } from './catalog.ts';
import type { Key } from './layout.ts';

/** The store's name for cold storage -> number of objects that may have to be brought back from there. */
export type ColdCounts = ReadonlyMap<string, number>;

const ASKED_AT_ONCE = 64;

export function coldCounts(objects: Iterable<ObjectInfo>): ColdCounts {
  const counts = new Map<string, number>();
  for (const object of objects) countCold(counts, object);
  return counts;
}

export function countCold(counts: Map<string, number>, { coldClass }: ObjectInfo): void {
  if (coldClass !== undefined) counts.set(coldClass, (counts.get(coldClass) ?? 0) + 1);
}

/** `5 parts in GLACIER, 1 part in DEEP_ARCHIVE`; undefined when there are none. */
export function describeCold(counts: ColdCounts, noun = 'part'): string | undefined {
  const texts = [...counts].map(([place, count]) => `${count} ${noun}${count === 1 ? '' : 's'} in ${place}`);
  return texts.length === 0 ? undefined : texts.join(', ');
}

/** Not even the sentinel can be read before it is brought back. */
export function isSentinelCold(reading: SentinelReading): boolean {
  return reading.kind === 'unreadable' && reading.error instanceof StoreError && reading.error.cold;
}

/** Those of the objects, as they were listed, that cannot be read before they are brought back. */
export async function coldAmong(
  store: Store,
  objects: Iterable<ObjectInfo>,
  call: Call,
): Promise<readonly ColdObject[]> {
  const keys = [...objects].filter(({ coldClass }) => coldClass !== undefined).map(({ key }) => key);
  return keys.length === 0 ? [] : ((await store.cold?.(keys, call)) ?? []);
}

/** The first of the keys whose object has to be brought back; no more are asked for than it takes to find it. */
export async function firstCold(
  store: Store,
  keys: Iterable<Key>,
  call: Call,
): Promise<ColdObject | undefined> {
  let some: Key[] = [];
  const ask = async () => (some.length === 0 ? undefined : (await store.cold?.(some, call))?.[0]);
  for (const key of keys) {
    some.push(key);
    if (some.length < ASKED_AT_ONCE) continue;
    const first = await ask();
    if (first !== undefined) return first;
    some = [];
  }
  return ask();
}
