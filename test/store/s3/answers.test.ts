import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { StoreError } from '../../../src/errors.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { AMAZON, CEPH, POOREST, SWIFT } from '../../harness/s3/habits.ts';
import {
  createS3Server,
  type S3Server,
  type S3ServerOptions,
  TEST_ACCOUNT,
} from '../../harness/s3/server.ts';
import { openTestStore, type TestStoreOptions } from '../../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'text/plain' } as const;
const KEY = walKey('000000010000000000000001');
const BYTES = [Buffer.from('bytes')];

const opened: { close(): Promise<void> }[] = [];
let server: S3Server;
beforeEach(async () => {
  server = await serve();
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function serve(options: S3ServerOptions = {}): Promise<S3Server> {
  const started = await createS3Server(options);
  opened.push(started);
  return started;
}

function open(options: TestStoreOptions = {}): Store {
  const store = openTestStore(server.url, {
    ...options,
    environment: { WALE_S3_CONDITIONAL_PUT: 'true', ...options.environment },
  });
  opened.unshift(store);
  return store;
}

async function listed(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list('', call)) keys.push(...page.map((info) => info.key));
  return keys;
}

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}

describe('what is missing is told apart', () => {
  it.each(['AMAZON', 'CEPH', 'SWIFT', 'POOREST'] as const)(
    'a missing object is an answer (%s)',
    async (name) => {
      server.habits = { AMAZON, CEPH, SWIFT, POOREST }[name];
      expect(await open().get(KEY, call)).toBeUndefined();
      expect(await open().head(KEY, call)).toBeUndefined();
    },
  );

  it('a missing bucket is a failure, for every call', async () => {
    server = await serve({ buckets: ['another'] });
    const store = open({ attempts: 50 });
    for (const failing of [
      () => store.get(KEY, call),
      () => store.head(KEY, call),
      () => store.put(KEY, BYTES, createOnly),
      () => listed(store),
      () => store.remove([KEY], call),
    ]) {
      const failure = await failureOf(failing());
      expect(failure.message).toBe('the bucket does not exist');
      expect(failure.hint).toContain('WALE_S3_PREFIX');
    }
  });

  it('a 404 of something that is not a store is a failure, never the end of the archive', async () => {
    server.intercept = () => ({
      status: 404,
      headers: { 'x-amz-request-id': '', 'content-type': 'text/html' },
      body: [Buffer.from('<html><h1>Not found</h1></html>')],
    });
    for (const failing of [() => open().get(KEY, call), () => open().head(KEY, call)]) {
      expect(await failureOf(failing())).toMatchObject({
        message: 'what answers is not an S3 store',
        hint: 'Check WALE_S3_ENDPOINT.',
      });
    }
  });

  it('a denial that names the right to list stands for a missing object', async () => {
    server.policy = [{ Effect: 'Allow', Action: ['s3:GetObject', 's3:PutObject'], Resource: '*' }];
    expect(await open().get(KEY, call)).toBeUndefined();
    expect(await open().head(KEY, call)).toBeUndefined();
    await open().put(KEY, BYTES, createOnly);
    expect((await contents(await open().get(KEY, call))).toString()).toBe('bytes');
  });

  it('any other denial is a failure, and names the right that is needed', async () => {
    server.policy = [{ Effect: 'Allow', Action: ['s3:ListBucket'], Resource: '*' }];
    const failure = await failureOf(open().get(KEY, call));
    expect(failure).toMatchObject({ message: 'the store denies access', transient: false });
    expect(failure.hint).toContain('s3:GetObject');
    const put = await failureOf(open().put(KEY, BYTES, createOnly));
    expect(put.hint).toContain('s3:PutObject');
  });

  it.each([
    [
      'kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/a because no identity-based policy allows it',
      'Allow kms:GenerateDataKey',
    ],
    ['s3:PutObject with an explicit deny in a resource-based policy', 'A policy denies s3:PutObject'],
  ])('a denial by another rule is told by it: %s', async (reason, hint) => {
    const text = `User: arn:aws:iam::1:user/x is not authorized to perform: ${reason}`;
    server.intercept = () => ({
      status: 403,
      body: [Buffer.from(`<Error><Code>AccessDenied</Code><Message>${text}</Message></Error>`)],
    });
    expect((await failureOf(open().put(KEY, BYTES, createOnly))).hint).toContain(hint);
  });

  it('an object in cold storage is not a matter of rights', async () => {
    server.intercept = () => ({
      status: 403,
      body: [Buffer.from('<Error><Code>InvalidObjectState</Code></Error>')],
    });
    expect(await failureOf(open().get(KEY, call))).toMatchObject({
      message: 'the object is archived in cold storage',
      hint: expect.stringContaining('RestoreObject'),
      transient: false,
    });
  });

  it('a bare denial says that it may stand for a missing object', async () => {
    server.intercept = () => ({
      status: 403,
      body: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')],
    });
    expect((await failureOf(open().get(KEY, call))).hint).toContain('s3:ListBucket');
  });
});

describe('credentials', () => {
  it('with a token are sent with it', async () => {
    server.accounts = [{ ...TEST_ACCOUNT, sessionToken: 'the/token==' }];
    expect(
      await open({ environment: { AWS_SECURITY_TOKEN: 'the/token==' } }).put(KEY, BYTES, createOnly),
    ).toBe('stored');
    const failure = await failureOf(open().put(KEY, BYTES, createOnly));
    expect(failure.detail).toContain('InvalidToken');
  });

  it.each([
    [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'AWS_SECRET_ACCESS_KEY'],
    [{ AWS_ACCESS_KEY_ID: 'WRONG' }, 'AWS_ACCESS_KEY_ID'],
  ])('that are wrong fail at once: %s', async (environment, setting) => {
    const store = open({ environment, attempts: 50 });
    const puts = () => store.put(KEY, BYTES, createOnly);
    for (const failing of [puts, () => store.head(KEY, call), () => listed(store)]) {
      const failure = await failureOf(failing());
      expect(failure.message).toBe('the store rejects the credentials');
      expect(failure.hint).toContain(setting);
      expect(JSON.stringify(failure)).not.toContain(TEST_ACCOUNT.secretAccessKey);
    }
  });

  it('that have expired fail at once', async () => {
    server.accounts = [{ ...TEST_ACCOUNT, expired: true }];
    const failure = await failureOf(open({ attempts: 50 }).put(KEY, BYTES, createOnly));
    expect(failure).toMatchObject({
      message: 'the credentials have expired',
      hint: expect.stringContaining('AWS_SESSION_TOKEN'),
    });
    expect(server.log).toHaveLength(1);
  });
});

describe('the bucket is in another region', () => {
  it('it is followed, and from then on asked there', async () => {
    server = await serve({ region: 'eu-central-1' });
    const store = open({ attempts: 1 });
    expect(await store.head(KEY, call)).toBeUndefined();
    expect(await store.put(KEY, BYTES, createOnly)).toBe('stored');
    expect(await listed(store)).toEqual([KEY]);
    expect(server.log.filter((line) => line.endsWith(' 400'))).toHaveLength(1);
  });
});

describe('a clock that is wrong', () => {
  it.each([3_600_000, -3_600_000])('by %s ms is allowed for', async (clockAheadMs) => {
    server = await serve({ clockAheadMs });
    const store = open({ attempts: 1 });
    expect(await store.put(KEY, BYTES, createOnly)).toBe('stored');
    expect(await listed(store)).toEqual([KEY]);
    expect(server.log.filter((line) => line.endsWith(' 403'))).toHaveLength(1);
  });
});

describe('Content-MD5', () => {
  it('is sent once a store has asked for it', async () => {
    server.habits = { ...AMAZON, putNeedsMd5: true };
    const store = open({ attempts: 1 });
    await store.put(KEY, BYTES, createOnly);
    await store.put(walKey('b'), BYTES, createOnly);
    expect(server.log.map((line) => line.split(' ').at(-1))).toEqual(['400', '200', '200']);
  });
});

describe('several at once', () => {
  const all = Array.from({ length: 8 }, (_, i) => walKey(`n${i}`));
  const puts = (store: Store) => Promise.all(all.map((key) => store.put(key, BYTES, createOnly)));

  it.each<[string, S3ServerOptions]>([
    ['the region', { region: 'eu-central-1' }],
    ['the time', { clockAheadMs: 3_600_000 }],
    ['that Content-MD5 is needed', { habits: { ...AMAZON, putNeedsMd5: true } }],
    ['that, without a word', { habits: { ...AMAZON, putNeedsMd5: true, errorCodes: false } }],
  ])('learn %s, each for itself and by one refusal', async (_, options) => {
    server = await serve(options);
    const store = open({ attempts: 1 });
    expect(await puts(store)).toEqual(all.map(() => 'stored'));
    expect(server.log).toHaveLength(16);
    server.forgetLog();
    expect(await puts(store)).toEqual(all.map(() => 'exists'));
    expect(server.log).toHaveLength(8);
  });
});

describe('what is asked of the store with an object', () => {
  const kept = () => server.bucket.get(`some/prefix/${KEY}`)?.headers ?? {};

  it('nothing with an endpoint, unless it is set', async () => {
    await open().put(KEY, BYTES, createOnly);
    expect(Object.keys(kept())).toEqual(['x-amz-meta-wal-e-crc32']);
  });

  it('encryption and storage class as set, for one put and for parts alike', async () => {
    const environment = { WALE_S3_SSE_KMS_KEY_ID: 'alias/wal', WALE_S3_STORAGE_CLASS: 'STANDARD_IA' };
    const expected = {
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'alias/wal',
      'x-amz-storage-class': 'STANDARD_IA',
    };
    const store = open({ environment });
    await store.put(KEY, BYTES, createOnly);
    expect(kept()).toMatchObject(expected);
    await store.put(KEY, large(), { ...createOnly, createOnly: false });
    expect(kept()).toMatchObject(expected);
  });

  it.each([CEPH, SWIFT])('encryption that the store refuses: the hint names WALE_S3_SSE', async (habits) => {
    server.habits = habits;
    const store = open({ environment: { WALE_S3_SSE: 'AES256' } });
    const failure = await failureOf(store.put(KEY, BYTES, { ...createOnly, createOnly: false }));
    expect(failure.hint).toContain('WALE_S3_SSE');
    expect(failure.transient).toBe(false);
  });

  it('a storage class that the store does not have: the hint names WALE_S3_STORAGE_CLASS', async () => {
    server.habits = SWIFT;
    const store = open({ environment: { WALE_S3_STORAGE_CLASS: 'GLACIER' } });
    expect((await failureOf(store.put(KEY, BYTES, createOnly))).hint).toContain('WALE_S3_STORAGE_CLASS');
  });
});

describe('an answer that is 200 and an error all the same', () => {
  it('to the completion of an upload is tried again', async () => {
    let left = 2;
    server.intercept = ({ method, query }) => {
      if (method !== 'POST' || !query.has('uploadId') || left === 0) return undefined;
      left -= 1;
      return { status: 200, body: [Buffer.from('<Error><Code>InternalError</Code></Error>')] };
    };
    expect(await open().put(KEY, large(), createOnly)).toBe('stored');
    expect(left).toBe(0);
  });
});

describe('what a store says is not trusted', () => {
  it('a listing that never ends', async () => {
    server.intercept = () => ({
      status: 200,
      body: [
        Buffer.from(
          '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>',
        ),
      ],
    });
    await expect(listed(open())).rejects.toThrow("the store's listing makes no sense");
  });

  it('a listing with keys of somebody else', async () => {
    const entry =
      '<Contents><Key>other/prefix/x</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>';
    server.intercept = () => ({
      status: 200,
      body: [Buffer.from(`<ListBucketResult>${entry}</ListBucketResult>`)],
    });
    await expect(listed(open())).rejects.toThrow("the store's listing makes no sense");
  });

  it('an answer to a get without a length or a time', async () => {
    await open().put(KEY, BYTES, createOnly);
    server.intercept = () => ({ status: 200, body: BYTES });
    await expect(open().get(KEY, call)).rejects.toThrow('the store does not tell size and time of an object');
  });
});

describe('Retry-After', () => {
  it.each([
    [429, () => ({ 'retry-after': '1' })],
    [503, () => ({ 'retry-after': '1' })],
    // By the store's own clock, which may be another than ours.
    [
      503,
      (now = Date.now()) => ({
        date: new Date(now + 3_600_000).toUTCString(),
        'retry-after': new Date(now + 3_601_000).toUTCString(),
      }),
    ],
  ])('of a %d is waited for', async (status, headers) => {
    let left = 1;
    server.intercept = () => {
      left -= 1;
      return left === 0 ? { status, headers: headers() } : undefined;
    };
    const delays: number[] = [];
    const started = performance.now();
    const store = open({ onRetry: ({ delayMs }) => delays.push(delayMs) });
    expect(await store.put(KEY, BYTES, createOnly)).toBe('stored');
    expect(delays).toEqual([expect.closeTo(1000, -2)]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000);
  });

  it.each(['soon', '-1', 'Thu, 01 Jan 1970 00:00:00 GMT', ''])(
    'that says nothing is none: "%s"',
    async (text) => {
      let left = 1;
      server.intercept = () => {
        left -= 1;
        return left === 0 ? { status: 503, headers: { 'retry-after': text } } : undefined;
      };
      const delays: number[] = [];
      const store = open({ onRetry: ({ delayMs }) => delays.push(delayMs) });
      expect(await store.put(KEY, BYTES, createOnly)).toBe('stored');
      expect(delays).toEqual([expect.closeTo(0, -2)]);
    },
  );
});

describe('connections', () => {
  it('are kept: many calls, one connection', async () => {
    const ports = new Set<unknown>();
    server.intercept = ({ port }) => {
      ports.add(port);
      return undefined;
    };
    const store = open();
    for (let i = 0; i < 10; i += 1) await store.put(walKey(`n${i}`), BYTES, createOnly);
    await contents(await store.get(walKey('n1'), call));
    await listed(store);
    expect(ports.size).toBe(1);
  });
});

async function* large(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 9; i += 1) yield Buffer.alloc(1024 * 1024, i);
}
