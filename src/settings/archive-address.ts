/** Which archive is meant, told from the settings alone: no store is loaded for it. */
import { prefixText, storagePrefix } from './prefix.ts';
import type { Settings } from './settings.ts';

/** One line without secrets, different for different archives. Throws SettingError when there is no storage prefix. */
export function archiveAddress(settings: Settings): string {
  const { WALE_S3_ENDPOINT: endpoint, AWS_REGION: region } = settings.environment;
  return [prefixText(settings), endpoint ?? region].filter(Boolean).join(' at ');
}

/** `Store.url` of the store that the settings name. */
export function archiveUrl(settings: Settings): string {
  const prefix = storagePrefix(settings);
  return (prefix.scheme === 'file' ? `file://localhost${prefix.path}` : prefix.url).replace(/\/+$/, '');
}
