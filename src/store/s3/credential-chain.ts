/** The SDK's own chain: profile files, web identity, container credentials, instance profile. Reads the environment itself. */
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import type { KeyProvider } from './credentials.ts';
import { silenceSdk } from './sdk-notices.ts';

export function chainProvider(): KeyProvider {
  silenceSdk();
  return defaultProvider();
}
