/** A store that keeps some of its objects in cold storage, from where they were not brought back. */
import { StoreError } from '../../src/errors.ts';
import type { Store } from '../../src/store/store.ts';

export function coldStore(inner: Store, isCold: (key: string) => boolean): Store {
  return {
    url: inner.url,
    put: (key, body, options) => inner.put(key, body, options),
    head: (key, call) => inner.head(key, call),
    remove: (keys, call) => inner.remove(keys, call),
    leftovers: (prefix, call) => inner.leftovers(prefix, call),
    removeLeftover: (leftover, call) => inner.removeLeftover(leftover, call),
    close: () => inner.close(),
    async get(key, options) {
      if (isCold(key)) throw new StoreError('it is cold', { transient: false, cold: true });
      return inner.get(key, options);
    },
    async *list(prefix, options) {
      for await (const page of inner.list(prefix, options))
        yield page.map((object) => (isCold(object.key) ? { ...object, coldClass: 'GLACIER' } : object));
    },
    async cold(keys) {
      return keys.filter(isCold).map((key) => ({ key, place: 'GLACIER', returning: false }));
    },
  };
}
