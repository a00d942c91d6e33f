/** Opens the store that a storage prefix names; each store is loaded only when it is used. */
import { SettingError } from '../errors.ts';
import type { StoragePrefix } from '../settings/prefix.ts';
import type { Settings } from '../settings/settings.ts';
import type { Store } from './store.ts';

export async function openStore(prefix: StoragePrefix, _settings: Settings): Promise<Store> {
  if (prefix.scheme === 's3') throw new SettingError('s3 is not built in yet');
  const { createFileStore } = await import('./file.ts');
  return createFileStore(prefix.path);
}
