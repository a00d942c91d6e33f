import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { SettingError } from '../../../src/errors.ts';
import { createCredentials } from '../../../src/store/s3/credentials.ts';
import type { Store } from '../../../src/store/store.ts';
import { createMetadataServer, type MetadataServer } from '../../harness/metadata-server.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';

const KEYS = { accessKeyId: 'ASIATEMPORARY', secretAccessKey: 'temporary', token: 'temporary/token=' };
const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'text/plain' } as const;
/** The chain reads the environment itself: nothing of this machine's may be seen. */
const NOBODY = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };

const warnings: Error[] = [];
process.on('warning', (warning) => warnings.push(warning));

let server: S3Server;
let metadata: MetadataServer;
let store: Store | undefined;
beforeEach(async () => {
  metadata = await createMetadataServer(KEYS);
  server = await createS3Server({ accounts: [{ ...KEYS, sessionToken: KEYS.token }] });
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  const nowhere = join(createScratch(), 'nothing');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', nowhere);
  vi.stubEnv('AWS_CONFIG_FILE', nowhere);
  vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', metadata.url);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await store?.close();
  await server.close();
  await metadata.close();
  // The SDK has notices of its own, which would end up in PostgreSQL's log.
  expect(warnings).toEqual([]);
});

async function puts(environment: Record<string, string>): Promise<void> {
  store = openTestStore(server.url, { environment: { ...NOBODY, ...environment }, attempts: 1 });
  expect(await store.put(walKey('a'), [Buffer.from('x')], createOnly)).toBe('stored');
}

describe('the instance profile', () => {
  it('is asked with a session of the metadata service (IMDSv2), once for all calls', async () => {
    await puts({ AWS_INSTANCE_PROFILE: 'true' });
    await store?.put(walKey('b'), [Buffer.from('x')], createOnly);
    expect(metadata.asked).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/archiver-role',
    ]);
  });

  it('that is not there is said so, with what to set instead', async () => {
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', server.url);
    await expect(puts({ AWS_INSTANCE_PROFILE: 'true' })).rejects.toMatchObject({
      message: "the machine's instance profile gives no credentials",
      hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
    });
  });
});

describe("the SDK's chain, when no key is given", () => {
  it('finds a profile in the file of credentials', async () => {
    const file = join(createScratch(), 'credentials');
    writeFileSync(
      file,
      `[archiver]\naws_access_key_id=${KEYS.accessKeyId}\naws_secret_access_key=${KEYS.secretAccessKey}\naws_session_token=${KEYS.token}\n`,
    );
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
    vi.stubEnv('AWS_PROFILE', 'archiver');
    await puts({});
  });

  it('finds the credentials of a container', async () => {
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${metadata.url}/container`);
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'container-secret');
    await puts({});
  });

  it('takes on a role by web identity', async () => {
    const file = join(createScratch(), 'token');
    writeFileSync(file, 'identity');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', file);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/archiver');
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ENDPOINT_URL_STS', metadata.url);
    await puts({});
  });

  it('ends at the instance profile', () => puts({}));

  it('that finds nothing is said so, before anything is asked of the store', async () => {
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    await expect(puts({})).rejects.toMatchObject({
      message: 'no AWS credentials were found',
      hint: expect.stringContaining('AWS_ACCESS_KEY_ID'),
    });
    expect(server.log).toEqual([]);
  });
});

describe('keys that expire', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  async function* piecesOf(bytes: Uint8Array) {
    for (let i = 0; i < bytes.length; i += 1_000_000) yield bytes.subarray(i, i + 1_000_000);
  }

  const given = (...expirations: (Date | undefined)[]) => {
    let asked = 0;
    let failing = false;
    const provider = async () => async () => {
      asked += 1;
      if (failing) throw new Error('nobody answers');
      return { ...KEYS, accessKeyId: `KEY${asked}`, expiration: expirations[asked - 1] };
    };
    const fail = (yes: boolean) => {
      failing = yes;
    };
    return { credentials: createCredentials('chain', provider), asked: () => asked, fail };
  };
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000);

  it('are renewed before they do', async () => {
    const { credentials } = given(inMinutes(4), inMinutes(60));
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY1');
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY2');
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY2');
  });

  it('are asked for once by many at the same time', async () => {
    const { credentials, asked } = given();
    await Promise.all(Array.from({ length: 10 }, () => credentials.get(call.signal)));
    expect(asked()).toBe(1);
  });

  it('are asked for again when the store calls them expired; given ones are not', async () => {
    const { credentials } = given();
    await credentials.get(call.signal);
    expect(credentials.renew()).toBe(true);
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY2');
    const fixed = createCredentials({ ...KEYS, sessionToken: undefined }, async () => async () => KEYS);
    expect(fixed.renew()).toBe(false);
  });

  it('are used as long as they hold when no new ones are to be had; they are asked for again later', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { credentials, asked, fail } = given(inMinutes(4), inMinutes(60));
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY1');
    fail(true);
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY1');
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY1');
    expect(asked()).toBe(2);
    vi.setSystemTime(Date.now() + 3 * 60_000);
    fail(false);
    expect((await credentials.get(call.signal)).accessKeyId).toBe('KEY3');
  });

  it('and cannot be renewed in the middle of a command may be so soon: that is tried again', async () => {
    const { credentials, fail } = given(inMinutes(4));
    fail(true);
    await expect(credentials.get(call.signal)).rejects.toBeInstanceOf(SettingError);
    fail(false);
    await credentials.get(call.signal);
    fail(true);
    credentials.renew();
    await expect(credentials.get(call.signal)).rejects.toMatchObject({
      message: 'no AWS credentials were found',
      detail: 'nobody answers',
      transient: true,
    });
  });

  it('in the middle of an upload in parts are renewed, and it goes on', async () => {
    const expired = { ...KEYS, sessionToken: KEYS.token, expired: true };
    const fresh = { accessKeyId: 'ASIAFRESH', secretAccessKey: 'fresh', token: 'fresh/token=' };
    let parts = 0;
    server.intercept = ({ query }) => {
      if (query.has('partNumber')) parts += 1;
      if (parts === 2) {
        server.accounts = [expired, { ...fresh, sessionToken: fresh.token }];
        metadata.keys = fresh;
      }
      return undefined;
    };
    const environment = { ...NOBODY, AWS_INSTANCE_PROFILE: 'true' };
    store = openTestStore(server.url, { environment, attempts: 1 });
    const whole = Buffer.alloc(21 * 1024 * 1024, 7);
    await store.put(walKey('large'), piecesOf(whole), { ...createOnly, createOnly: false });
    expect(server.bucket.get(`some/prefix/${walKey('large')}`)?.size).toBe(whole.length);
    expect(server.log.filter((line) => line.endsWith(' 400')).length).toBeGreaterThan(0);
  });

  it('do not hold up a command that is stopped', async () => {
    const credentials = createCredentials('chain', () => new Promise(() => undefined));
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(credentials.get(stopped)).rejects.toThrow('stopped');
  });
});
