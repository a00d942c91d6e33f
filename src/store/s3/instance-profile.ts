/** Keys of the machine's role, from the instance metadata service (IMDSv2). */
import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import type { KeyProvider } from './credentials.ts';

export function instanceProfileProvider(): KeyProvider {
  return fromInstanceMetadata({ timeout: 2000, maxRetries: 3 });
}
