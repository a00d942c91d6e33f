/** The settings of an S3 store, from the original's names in the environment and the global options. Pure. */
import { SettingError } from '../errors.ts';
import { readProxy } from './proxy.ts';
import { awsDomain, bucketServer, parseEndpoint, type S3Endpoint } from './s3-endpoint.ts';
import type { Environment, GlobalOptions } from './settings.ts';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** Where credentials come from: given keys, the machine's instance profile, or the SDK's own chain. */
export type S3CredentialSource = S3Keys | 'instance-profile' | 'chain';

/** `kms` without a key uses the account's default key for S3. */
export type S3Encryption =
  | { readonly kind: 'none' }
  | { readonly kind: 'AES256' }
  | { readonly kind: 'aws:kms'; readonly keyId: string | undefined };

export interface S3Settings {
  readonly bucket: string;
  /** Without slashes at either end; may be empty. */
  readonly prefix: string;
  /** undefined: AWS itself. */
  readonly endpoint: S3Endpoint | undefined;
  readonly region: string;
  readonly credentials: S3CredentialSource;
  readonly storageClass: string | undefined;
  readonly encryption: S3Encryption;
  /**
   * Whether the store is known to honour `If-None-Match: *`: `yes` sends one request; `no` asks with a HEAD first and
   * never sends the header; `unknown` does both, until the store has shown what it does.
   */
  readonly conditionalPut: 'yes' | 'no' | 'unknown';
  /** File with certificate authorities in PEM form, instead of Node's own. */
  readonly caFile: string | undefined;
  /** URL of a proxy for https, which may carry user and password. */
  readonly proxy: string | undefined;
  /** The same on the way to the service that gives the keys of a role (STS). */
  readonly identityProxy: string | undefined;
}

/** `url` is the storage prefix, `s3://bucket/path`. Throws SettingError, naming the setting. */
export function readS3Settings(url: string, environment: Environment, options: GlobalOptions): S3Settings {
  const { bucket, prefix } = parsePrefix(url);
  const text = given(environment, 'WALE_S3_ENDPOINT');
  const endpoint = text === undefined ? undefined : parseEndpoint(text);
  const region = readRegion(environment, endpoint?.host);
  const onAws = endpoint === undefined || AMAZON.test(endpoint.host);
  return {
    bucket,
    prefix,
    endpoint,
    region,
    credentials: readCredentials(environment, options),
    storageClass: given(environment, 'WALE_S3_STORAGE_CLASS'),
    encryption: readEncryption(environment, onAws),
    conditionalPut: readConditionalPut(environment, onAws || CLOUDFLARE.test(endpoint.host)),
    caFile: given(environment, 'AWS_CA_BUNDLE'),
    proxy: readProxy(environment, bucketServer(bucket, endpoint, region)),
    identityProxy: readProxy(environment, identityHost(environment, region)),
  };
}

/** As the SDK finds it; see docs/stores.md. */
function identityHost(environment: Environment, region: string): { host: string; port: number } {
  const url = given(environment, 'AWS_ENDPOINT_URL_STS') ?? given(environment, 'AWS_ENDPOINT_URL');
  if (url === undefined || !URL.canParse(url))
    return { host: `sts.${region}.${awsDomain(region)}`, port: 443 };
  const { hostname, port } = new URL(url);
  return { host: hostname, port: port === '' ? 443 : Number(port) };
}

/** An empty variable counts as unset, as it did in the original. */
function given(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === '' ? undefined : value;
}

function parsePrefix(url: string): { bucket: string; prefix: string } {
  const match = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(url);
  const bucket = match?.[1];
  if (bucket === undefined || !/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
    throw new SettingError('the S3 prefix does not name a bucket', {
      detail: `The prefix is ${JSON.stringify(url.replace(/\/\/.*@/s, '//***@'))}.`,
      hint: 'Set WALE_S3_PREFIX or pass --s3-prefix in the form "s3://bucket/path".',
    });
  }
  return { bucket, prefix: (match?.[2] ?? '').replace(/^\/+|\/+$/g, '') };
}

const AMAZON = /\.amazonaws\.com(\.cn)?$/;
const CLOUDFLARE = /\.r2\.cloudflarestorage\.com$/;

/** `s3.eu-west-1.amazonaws.com`, `s3-eu-west-1.…`, `s3-fips.dualstack.eu-west-1.…`, `….s3.eu-west-1.vpce.…`. */
const REGION_OF_AMAZON =
  /(?:^|\.)s3(?:-fips)?[.-](?:dualstack\.)?([a-z]+(?:-[a-z]+)+-\d+)\.(?:vpce\.)?amazonaws\.com/;

/** With the original the region of an AWS endpoint stood in its address only. */
function readRegion(environment: Environment, host: string | undefined): string {
  const region =
    given(environment, 'AWS_REGION') ??
    given(environment, 'AWS_DEFAULT_REGION') ??
    REGION_OF_AMAZON.exec(host ?? '')?.[1] ??
    'us-east-1';
  if (/^[A-Za-z0-9-]{1,64}$/.test(region)) return region;
  throw new SettingError('AWS_REGION is not the name of a region', {
    detail: `The value is ${JSON.stringify(region)}.`,
    hint: 'Set the environment variable AWS_REGION to the region of the bucket, such as "eu-central-1".',
  });
}

function readCredentials(environment: Environment, options: GlobalOptions): S3CredentialSource {
  if (options.awsInstanceProfile ?? readSwitch(environment, 'AWS_INSTANCE_PROFILE'))
    return 'instance-profile';
  const accessKeyId = options.awsAccessKeyId ?? given(environment, 'AWS_ACCESS_KEY_ID');
  const secretAccessKey = given(environment, 'AWS_SECRET_ACCESS_KEY');
  if (accessKeyId === undefined && secretAccessKey === undefined) return 'chain';
  if (accessKeyId === undefined) {
    throw new SettingError('AWS Access Key credential is required but not provided', {
      hint: 'Pass "--aws-access-key-id" or set the environment variable "AWS_ACCESS_KEY_ID".',
    });
  }
  if (secretAccessKey === undefined) {
    throw new SettingError('AWS Secret Key credential is required but not provided', {
      hint: 'Set the environment variable AWS_SECRET_ACCESS_KEY.',
    });
  }
  const sessionToken = given(environment, 'AWS_SESSION_TOKEN') ?? given(environment, 'AWS_SECURITY_TOKEN');
  for (const [name, value] of Object.entries({
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken ?? '',
  })) {
    if (/[^\x21-\x7e]/.test(value)) {
      throw new SettingError(`${name} contains a character that no credential has`, {
        detail: 'There is a blank, a control character or a character outside ASCII in it.',
        hint: `Set the environment variable ${name} without quotes and line breaks.`,
      });
    }
  }
  return { accessKeyId, secretAccessKey, sessionToken };
}

function readSwitch(environment: Environment, name: string): boolean {
  const value = given(environment, name)?.toLowerCase();
  if (value === undefined || value === '0' || value === 'false') return false;
  if (value === '1' || value === 'true') return true;
  throw new SettingError(`${name} is neither true nor false`, {
    detail: `The value is ${JSON.stringify(environment[name])}.`,
    hint: `Set the environment variable ${name} to "true" or "false", or unset it.`,
  });
}

/** The original always asked for AES256. Stores other than AWS refuse that more often than not. */
function readEncryption(environment: Environment, onAws: boolean): S3Encryption {
  const keyId = given(environment, 'WALE_S3_SSE_KMS_KEY_ID');
  const standard = onAws ? 'AES256' : 'none';
  const kind = given(environment, 'WALE_S3_SSE') ?? (keyId === undefined ? standard : 'aws:kms');
  if (kind === 'aws:kms') return { kind, keyId };
  if (kind !== 'AES256' && kind !== 'none') {
    throw new SettingError('WALE_S3_SSE is not a kind of server-side encryption', {
      detail: `The value is ${JSON.stringify(kind)}.`,
      hint: 'Set the environment variable WALE_S3_SSE to "AES256", "aws:kms" or "none".',
    });
  }
  if (keyId !== undefined) {
    throw new SettingError('WALE_S3_SSE_KMS_KEY_ID is set, but WALE_S3_SSE does not ask for KMS', {
      detail: `WALE_S3_SSE is "${kind}".`,
      hint: 'Set the environment variable WALE_S3_SSE to "aws:kms", or unset WALE_S3_SSE_KMS_KEY_ID.',
    });
  }
  return { kind };
}

/** AWS and R2 document the header; of others nothing is assumed. */
function readConditionalPut(environment: Environment, known: boolean): S3Settings['conditionalPut'] {
  const name = 'WALE_S3_CONDITIONAL_PUT';
  if (given(environment, name) !== undefined) return readSwitch(environment, name) ? 'yes' : 'no';
  return known ? 'yes' : 'unknown';
}
