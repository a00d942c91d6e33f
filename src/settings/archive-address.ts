/** Which archive is meant, in one line without secrets: to tell whether a note was made for this archive. */
import { prefixText } from './prefix.ts';
import type { Settings } from './settings.ts';

/** Throws SettingError when there is no storage prefix. */
export function archiveAddress(settings: Settings): string {
  const { WALE_S3_ENDPOINT: endpoint, AWS_REGION: region } = settings.environment;
  return [prefixText(settings), endpoint ?? region].filter(Boolean).join(' at ');
}
