/** A store on S3 whose first answer to each put gets lost, when the object is stored. */
import type { Store } from '../../../src/store/store.ts';
import { createFaultProxy } from './fault-proxy.ts';
import { createS3Server } from './server.ts';
import { openTestStore } from './store.ts';

export async function onLossyS3(use: (store: Store) => Promise<void>): Promise<void> {
  const server = await createS3Server();
  const seen = new Set<string>();
  const proxy = await createFaultProxy(server.url, ({ method, target }) => {
    if (method !== 'PUT' || seen.has(target)) return undefined;
    seen.add(target);
    return { kind: 'reset-after', bytes: 0 };
  });
  const store = openTestStore(proxy.url);
  try {
    await use(store);
  } finally {
    await store.close();
    await proxy.close();
    await server.close();
  }
}
