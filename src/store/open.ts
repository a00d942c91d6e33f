/** Opens the store that a storage prefix names; each store is loaded only when it is used. */
import type { Store } from './store.ts';

/** A storage prefix, parsed: `path` is absolute. */
export interface StoragePrefix {
  readonly scheme: 'file';
  readonly path: string;
}

export async function openStore(prefix: StoragePrefix): Promise<Store> {
  const { createFileStore } = await import('./file.ts');
  return createFileStore(prefix.path);
}
