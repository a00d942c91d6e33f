/** The keys that requests are signed with: given ones, the instance profile's, or those of the SDK's chain. */

import { SettingError, StoreError } from '../../errors.ts';
import type { S3CredentialSource, S3Keys } from '../../settings/s3.ts';
import { abortable } from './abortable.ts';

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

/** How services that give keys are reached, where that is not as the SDK would do it. */
export interface KeyRoute {
  readonly caFile: string | undefined;
  readonly proxy: string | undefined;
}

type Source = 'instance-profile' | 'chain';

/** Renewed this long before they expire, so that no request outlives its keys. */
const MARGIN_MS = 5 * 60_000;
/** While the old ones hold, a service that has no new ones is not asked at every request. */
const PAUSE_MS = 15_000;

export function createCredentials(
  source: S3CredentialSource,
  providerOf: (source: Source) => Promise<KeyProvider>,
): Credentials {
  if (typeof source === 'object') return { get: async () => source, renew: () => false };
  let held: TemporaryKeys | undefined;
  let loading: Promise<TemporaryKeys> | undefined;
  let before = false;
  let notUntil = 0;
  const load = async () => {
    const old = held;
    try {
      held = await provide(source, providerOf);
      before = true;
      return held;
    } catch (error) {
      if (old !== undefined && old === held && Date.now() < expiryOf(old)) {
        notUntil = Date.now() + PAUSE_MS;
        return old;
      }
      throw before ? notRenewed(error) : error;
    } finally {
      loading = undefined;
    }
  };
  const usable = (): TemporaryKeys | undefined => {
    const now = Date.now();
    const marginMs = now < notUntil ? 0 : MARGIN_MS;
    return held !== undefined && now < expiryOf(held) - marginMs ? held : undefined;
  };
  const renewal = (): Promise<TemporaryKeys> => {
    loading ??= load();
    return loading;
  };
  return {
    async get(signal) {
      const { accessKeyId, secretAccessKey, sessionToken } = usable() ?? (await abortable(renewal(), signal));
      return { accessKeyId, secretAccessKey, sessionToken };
    },
    renew() {
      held = undefined;
      return true;
    },
  };
}

function expiryOf({ expiration }: TemporaryKeys): number {
  return expiration?.getTime() ?? Number.POSITIVE_INFINITY;
}

/** Keys were given before: in the middle of a long command the service may be back soon. */
function notRenewed(error: unknown): unknown {
  if (!(error instanceof SettingError)) return error;
  const { message, detail, hint } = error;
  return new StoreError(message, { detail, hint, transient: true, cause: error });
}

async function provide(
  source: Source,
  providerOf: (source: Source) => Promise<KeyProvider>,
): Promise<TemporaryKeys> {
  try {
    return await (await providerOf(source))();
  } catch (error) {
    if (error instanceof SettingError) throw error;
    throw new SettingError(
      source === 'chain'
        ? 'no AWS credentials were found'
        : "the machine's instance profile gives no credentials",
      {
        detail: error instanceof Error ? error.message : String(error),
        hint:
          source === 'chain'
            ? 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role.'
            : 'Give the machine a role; a container needs a hop limit of 2 to ask for it. Or unset AWS_INSTANCE_PROFILE: AWS_ACCESS_KEY_ID, AWS_PROFILE or a web identity count then.',
        cause: error,
      },
    );
  }
}

/** Loads what gives the keys only when they are asked for. */
export function keyProviders(route: KeyRoute): (source: Source) => Promise<KeyProvider> {
  return async (source) => {
    if (source === 'chain') return (await import('./credential-chain.ts')).chainProvider(route);
    return (await import('./instance-profile.ts')).instanceProfileProvider();
  };
}
