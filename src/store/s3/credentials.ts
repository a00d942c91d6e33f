/** The keys that requests are signed with: given ones, the instance profile's, or those of the SDK's chain. */
import { SettingError } from '../../errors.ts';
import type { S3CredentialSource, S3Keys } from '../../settings/s3.ts';

export interface Credentials {
  get(signal: AbortSignal): Promise<S3Keys>;
  /** Forgets keys that the store calls expired; false when there is no source of new ones. */
  renew(): boolean;
}

/** As the SDK's providers give them. */
export interface TemporaryKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly expiration?: Date | undefined;
}

export type KeyProvider = () => Promise<TemporaryKeys>;

/** Renewed this long before they expire, so that no request outlives its keys. */
const MARGIN_MS = 5 * 60_000;

export function createCredentials(
  source: S3CredentialSource,
  providerOf: (source: 'instance-profile' | 'chain') => Promise<KeyProvider> = importProvider,
): Credentials {
  if (typeof source === 'object') return { get: async () => source, renew: () => false };
  let current: Promise<TemporaryKeys> | undefined;
  let expires = Number.POSITIVE_INFINITY;
  const load = async () => {
    const keys = await provide(source, providerOf);
    expires = keys.expiration?.getTime() ?? Number.POSITIVE_INFINITY;
    return keys;
  };
  return {
    async get(signal) {
      if (current === undefined || Date.now() > expires - MARGIN_MS) {
        expires = Number.POSITIVE_INFINITY;
        current = load();
        current.catch(() => {
          current = undefined;
        });
      }
      const { accessKeyId, secretAccessKey, sessionToken } = await abortable(current, signal);
      return { accessKeyId, secretAccessKey, sessionToken };
    },
    renew() {
      current = undefined;
      return true;
    },
  };
}

async function provide(
  source: 'instance-profile' | 'chain',
  providerOf: (source: 'instance-profile' | 'chain') => Promise<KeyProvider>,
): Promise<TemporaryKeys> {
  try {
    return await (await providerOf(source))();
  } catch (error) {
    throw new SettingError(
      source === 'chain'
        ? 'no AWS credentials were found'
        : "the machine's instance profile gives no credentials",
      {
        detail: error instanceof Error ? error.message : String(error),
        hint:
          source === 'chain'
            ? 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role.'
            : 'Give the machine a role, or unset AWS_INSTANCE_PROFILE and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
        cause: error,
      },
    );
  }
}

async function importProvider(source: 'instance-profile' | 'chain'): Promise<KeyProvider> {
  if (source === 'chain') return (await import('./credential-chain.ts')).chainProvider();
  return (await import('./instance-profile.ts')).instanceProfileProvider();
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
