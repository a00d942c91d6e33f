/** The SDK's own chain: profile files, web identity, container credentials, instance profile. Reads the environment itself. */
import { rootCertificates } from 'node:tls';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { readAuthorities, secureAgent } from './agent.ts';
import type { KeyProvider, KeyRoute } from './credentials.ts';
import { silenceSdk } from './sdk-notices.ts';

const CONNECT_MS = 10_000;

/**
 * The service that gives the keys of a role is asked through the proxy and with the authorities of the settings, as the
 * store is; but it may be AWS where the store is one's own, so that Node's authorities stay.
 */
export async function chainProvider({ caFile, proxy }: KeyRoute): Promise<KeyProvider> {
  silenceSdk();
  if (caFile === undefined && proxy === undefined) return defaultProvider();
  const ca = caFile === undefined ? {} : { ca: [...rootCertificates, await readAuthorities(caFile)] };
  const httpsAgent = await secureAgent({ proxy, connectMs: CONNECT_MS, ...ca });
  return defaultProvider({ clientConfig: { requestHandler: { httpsAgent } } });
}
