import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { type ConnectProxy, createConnectProxy } from '../../harness/connect-proxy.ts';
import { createMetadataServer, type MetadataServer } from '../../harness/metadata-server.ts';
import { poll } from '../../harness/poll.ts';
import { createRawServer, rawAnswer } from '../../harness/s3/raw-server.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore, type TestStoreOptions } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';

const file = (name: string) => fileURLToPath(new URL(`../../harness/tls/${name}`, import.meta.url));
const AUTHORITY = file('ca.pem');
const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'text/plain' } as const;
const key = walKey('000000010000000000000001');

const tls = { key: readFileSync(file('server.key'), 'utf8'), cert: readFileSync(file('server.pem'), 'utf8') };

let server: S3Server;
let proxy: ConnectProxy;
let store: Store | undefined;

beforeAll(async () => {
  server = await createS3Server({ tls, region: 'eu-central-1' });
});
afterAll(() => server.close());
beforeEach(async () => {
  server.bucket.delete(`some/prefix/${key}`);
  proxy = await createConnectProxy(server.port);
});
afterEach(async () => {
  await store?.close();
  await proxy.close();
});

function open(environment: Record<string, string>, options: TestStoreOptions = {}): Store {
  store = openTestStore(server.url, {
    environment: { AWS_REGION: 'eu-central-1', ...environment },
    attempts: 2,
    ...options,
  });
  return store;
}

async function roundTrip(through: Store): Promise<void> {
  expect(await through.put(key, [Buffer.from('safe')], createOnly)).toBe('stored');
  expect((await contents(await through.get(key, call))).toString()).toBe('safe');
}

describe('AWS_CA_BUNDLE', () => {
  it('makes the store of an own authority trusted', () => roundTrip(open({ AWS_CA_BUNDLE: AUTHORITY })));

  it('is named in the hint when the authority is not known; nothing is retried', async () => {
    await expect(open({}, { attempts: 50 }).put(key, [Buffer.from('x')], createOnly)).rejects.toMatchObject({
      message: 'no secure connection to the store',
      hint: expect.stringContaining('AWS_CA_BUNDLE'),
      transient: false,
    });
  });

  it('that cannot be read, or holds no certificate, is said so', async () => {
    const missing = open({ AWS_CA_BUNDLE: '/no/such/file' }).get(key, call);
    await expect(missing).rejects.toThrow('the file of AWS_CA_BUNDLE cannot be read');
    const wrong = open({ AWS_CA_BUNDLE: file('README.md') }).get(key, call);
    await expect(wrong).rejects.toThrow('the file of AWS_CA_BUNDLE holds no certificate');
  });

  it('does not make another host trusted', async () => {
    const environment = {
      AWS_CA_BUNDLE: AUTHORITY,
      HTTPS_PROXY: proxy.url,
      WALE_S3_ENDPOINT: 'https://other.example',
    };
    await expect(open(environment).get(key, call)).rejects.toThrow('no secure connection to the store');
  });
});

describe('HTTPS_PROXY', () => {
  const environment = () => ({ AWS_CA_BUNDLE: AUTHORITY, HTTPS_PROXY: proxy.url });

  it('carries the connection, TLS end to end inside it, to AWS itself', async () => {
    await roundTrip(open({ ...environment(), WALE_S3_ENDPOINT: '' }));
    expect(proxy.asked).toEqual([
      { target: 'wale-test.s3.eu-central-1.amazonaws.com:443', authorization: undefined },
    ]);
  });

  it('carries it to a bucket that is part of the host name', async () => {
    await roundTrip(open({ ...environment(), WALE_S3_ENDPOINT: 'https+subdomain://store.example:9443' }));
    expect(proxy.asked.map(({ target }) => target)).toEqual(['wale-test.store.example:9443']);
  });

  it('gets user and password, which no message repeats', async () => {
    const secret = proxy.url.replace('://', '://us%40er:hid%3Aden@');
    await roundTrip(open({ ...environment(), HTTPS_PROXY: secret }));
    const expected = `Basic ${Buffer.from('us@er:hid:den').toString('base64')}`;
    expect(proxy.asked[0]?.authorization).toBe(expected);
    proxy.refusal = 407;
    const refused = await open({ ...environment(), HTTPS_PROXY: secret })
      .get(key, call)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({
      message: 'the proxy does not let us through to the store',
      detail: expect.stringContaining('it answered CONNECT with 407'),
      hint: expect.stringContaining('HTTPS_PROXY'),
    });
    expect(JSON.stringify(refused)).not.toContain('hid');
  });

  it('that is not there is tried again, then said so', async () => {
    await proxy.close();
    await expect(open(environment()).get(key, call)).rejects.toMatchObject({
      message: 'the proxy does not let us through to the store',
      detail: expect.stringContaining('It was tried 2 times.'),
    });
    proxy = await createConnectProxy(server.port);
  });

  it('that takes a connection and says nothing is given up, and nothing stays open', async () => {
    const silent = await createRawServer(() => undefined);
    const timeouts = { connectMs: 1000, idleMs: 10_000 };
    const opened = open({ ...environment(), HTTPS_PROXY: silent.url }, { timeouts });
    await expect(opened.get(key, call)).rejects.toMatchObject({
      message: 'the store does not answer',
      detail: expect.stringContaining('It was tried 2 times.'),
    });
    const asked = `CONNECT ${new URL(server.url).host}`;
    expect(new Set(silent.asked)).toEqual(new Set([asked]));
    await poll('the connections to close', () => silent.open.size === 0);
    await silent.close();
  });

  it('is given no longer than that to open a tunnel, and what goes through it all the time it needs', async () => {
    const connectMs = 3000;
    const opened = open(environment(), { timeouts: { connectMs, idleMs: 60_000 } });
    await roundTrip(opened);
    await new Promise((resolve) => setTimeout(resolve, connectMs + 100));
    expect((await contents(await opened.get(key, call))).toString()).toBe('safe');
    expect(proxy.asked).toHaveLength(1);
  });

  it.each([
    ['rubbish', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
    ['a redirect', rawAnswer(302, { location: 'http://127.0.0.1:1/' })],
    ['the page of a portal', rawAnswer(200, {}, '<html>Please sign in</html>')],
    ['headers without end', rawAnswer(200, { 'x-long': 'x'.repeat(1_000_000) })],
  ])('that answers with %s is not taken for the store', async (_, answer) => {
    const hostile = await createRawServer((socket) => socket.write(answer));
    const opened = open({ ...environment(), HTTPS_PROXY: hostile.url });
    await expect(opened.get(key, call)).rejects.toMatchObject({ name: 'StoreError' });
    await hostile.close();
  });

  it('is left aside for hosts of NO_PROXY', async () => {
    await roundTrip(open({ ...environment(), NO_PROXY: '127.0.0.1' }));
    expect(proxy.asked).toEqual([]);
  });
});

describe('who gives the keys of a role', () => {
  const KEYS = { accessKeyId: 'ASIAROLE', secretAccessKey: 'role/secret', token: 'role/token=' };
  let identity: MetadataServer;
  beforeEach(async () => {
    identity = await createMetadataServer(KEYS, tls);
    server.accounts = [...server.accounts, { ...KEYS, sessionToken: KEYS.token }];
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    const file = join(createScratch(), 'token');
    writeFileSync(file, 'identity');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', file);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/archiver');
    vi.stubEnv('AWS_REGION', 'eu-central-1');
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await identity.close();
  });

  const role = (url: string, more: Record<string, string>) => {
    vi.stubEnv('AWS_ENDPOINT_URL_STS', url);
    const nobody = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_ENDPOINT_URL_STS: url };
    return open({ ...nobody, AWS_CA_BUNDLE: AUTHORITY, ...more });
  };

  it('is trusted by the authorities of AWS_CA_BUNDLE', async () => {
    await roundTrip(role(identity.url, {}));
    expect(identity.asked).toEqual(['POST /']);
  });

  it('is asked through HTTPS_PROXY, unless NO_PROXY names it', async () => {
    const through = await createConnectProxy(Number(new URL(identity.url).port));
    const proxied = { HTTPS_PROXY: through.url, NO_PROXY: '127.0.0.1' };
    await roundTrip(role('https://wale-test.s3.eu-central-1.amazonaws.com', proxied));
    expect(through.asked.map(({ target }) => target)).toEqual([
      'wale-test.s3.eu-central-1.amazonaws.com:443',
    ]);
    server.bucket.delete(`some/prefix/${key}`);
    await roundTrip(role(identity.url, proxied));
    expect(through.asked).toHaveLength(1);
    expect(identity.asked).toHaveLength(2);
    await through.close();
  });
});

describe('http where the store speaks https, and the other way round', () => {
  it('is said at once, with a hint at the endpoint', async () => {
    const plain = await createS3Server();
    const failure = open({ WALE_S3_ENDPOINT: plain.url.replace('http', 'https') }).get(key, call);
    await expect(failure).rejects.toMatchObject({
      message: 'no secure connection to the store',
      hint: expect.stringContaining('WALE_S3_ENDPOINT'),
    });
    await plain.close();
  });
});
