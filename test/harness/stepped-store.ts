/**
 * A store in memory that several commands share, each of whose requests waits for its turn: what happens when is chosen
 * by the test, from a seed. Listings are read page by page, removals go key by key.
 */
import type { Key } from '../../src/archive/layout.ts';
import type { Body, Call, Leftover, ListOptions, PutOptions, Store } from '../../src/store/store.ts';
import type { MemoryStore } from './memory-store.ts';

const PAGE_KEYS = 4;

export class SteppedStore implements Store {
  readonly url = 'memory://test';
  readonly #inner: MemoryStore;
  readonly #step: () => Promise<void>;

  /** `step` resolves when the next request may be made, or throws what ends it. */
  constructor(inner: MemoryStore, step: () => Promise<void>) {
    this.#inner = inner;
    this.#step = step;
  }

  async put(key: Key, body: Body, options: PutOptions) {
    await this.#step();
    return this.#inner.put(key, body, options);
  }

  async get(key: Key, call: Call) {
    await this.#step();
    return this.#inner.get(key, call);
  }

  async head(key: Key, call: Call) {
    await this.#step();
    return this.#inner.head(key, call);
  }

  async *list(prefix: string, call: ListOptions) {
    let last = '';
    for (;;) {
      await this.#step();
      const page = [];
      for await (const objects of this.#inner.list(prefix, call))
        page.push(...objects.filter(({ key }) => key > last));
      if (page.length === 0) return;
      yield page.slice(0, PAGE_KEYS);
      last = page[PAGE_KEYS - 1]?.key ?? '\uffff';
    }
  }

  async remove(keys: readonly Key[], call: Call) {
    const failures = [];
    for (const key of keys) {
      await this.#step();
      failures.push(...(await this.#inner.remove([key], call)));
    }
    return failures;
  }

  async *leftovers(prefix: string, call: Call) {
    await this.#step();
    yield* this.#inner.leftovers(prefix, call);
  }

  async removeLeftover(leftover: Leftover, call: Call) {
    await this.#step();
    return this.#inner.removeLeftover(leftover, call);
  }

  async close() {}
}

/** Runs `actors` until all have ended; `random` chooses whose request is next, and `look` is called behind each. */
export async function inTurns(
  actors: readonly ((step: () => Promise<void>) => Promise<void>)[],
  random: () => number,
  look: () => Promise<void>,
): Promise<void> {
  const waiting: (() => void)[] = [];
  const step = () => new Promise<void>((go) => waiting.push(go));
  let running = actors.length;
  const ends = actors.map((actor) =>
    actor(step).finally(() => {
      running -= 1;
    }),
  );
  const all = Promise.all(ends);
  all.catch(() => undefined);
  while (running > 0) {
    await new Promise((resolve) => setImmediate(resolve));
    const [next] = waiting.splice(Math.floor(random() * waiting.length), 1);
    if (next === undefined) continue;
    next();
    await new Promise((resolve) => setImmediate(resolve));
    await look();
  }
  await all;
}
