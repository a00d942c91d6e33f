/** Which objects have to be brought back from cold storage before they can be read. */
import type { Key } from '../../archive/layout.ts';
import { StoreError } from '../../errors.ts';
import { inOrder } from '../../parallel.ts';
import type { Call, ColdObject, Store } from '../store.ts';
import type { Coldness } from './cold-class.ts';
import type { Head } from './put.ts';

export interface Readers {
  readonly head: Head;
  readonly get: Store['get'];
}

const HEADS_AT_ONCE = 16;

export async function findCold(
  readers: Readers,
  keys: readonly Key[],
  call: Call,
): Promise<readonly ColdObject[]> {
  const found: ColdObject[] = [];
  const answers = inOrder(keys, HEADS_AT_ONCE, call.signal, async (key, signal) => ({
    key,
    coldness: await coldness(readers.head, key, signal),
  }));
  for await (const { key, coldness: seen } of answers) if (seen !== undefined) found.push({ key, ...seen });
  const [first] = found;
  return first === undefined || (await isReadable(readers, first, call)) ? [] : found;
}

async function coldness(head: Head, key: Key, signal: AbortSignal): Promise<Coldness | undefined> {
  try {
    return (await head(key, signal))?.coldness;
  } catch (error) {
    if (error instanceof StoreError && error.cold) return { place: 'cold storage', returning: false };
    throw error;
  }
}

/** Work-alikes give Amazon's names to classes of their own, some of which are read like any other: one object shows it. */
async function isReadable({ get }: Readers, { key }: ColdObject, call: Call): Promise<boolean> {
  try {
    const object = await get(key, call);
    if (object === undefined) return false;
    for await (const _ of object.body) break;
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.cold) return false;
    throw error;
  }
}
