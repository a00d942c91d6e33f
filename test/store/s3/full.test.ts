import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { isStoreFull, type StoreError } from '../../../src/errors.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { seededBytes } from '../../harness/random.ts';
import { AMAZON, CEPH, POOREST, SWIFT } from '../../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore, type TestStoreOptions } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
const MB = 1024 * 1024;
const KEY = walKey('000000010000000000000001');
const OTHER = walKey('000000010000000000000002');
const BYTES = [Buffer.alloc(100, 'a')];

const opened: { close(): Promise<void> }[] = [];
let server: S3Server;
beforeEach(async () => {
  server = await createS3Server();
  opened.push(server);
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function open(options: TestStoreOptions = {}): Store {
  const store = openTestStore(server.url, { attempts: 50, ...options });
  opened.unshift(store);
  return store;
}

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!isStoreFull(error)) throw error;
  return error;
}

const puts = () => server.log.filter((line) => line.startsWith('PUT')).length;

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MB) yield bytes.subarray(at, at + MB);
}

/** The forms that are known, and who has them. */
const WORDS: readonly [who: string, status: number, code: string, message?: string][] = [
  ['Ceph, a quota', 403, 'QuotaExceeded'],
  ['Ceph, the cluster', 507, 'InsufficientCapacity'],
  [
    'MinIO, its disks',
    507,
    'XMinioStorageFull',
    'Storage backend has reached its minimum free disk threshold.',
  ],
  ['MinIO, a quota', 400, 'XMinioAdminBucketQuotaExceeded', 'Bucket quota exceeded'],
  ['Scality', 429, 'QuotaExceeded', 'The quota set for the resource is exceeded.'],
  ['Huawei OBS', 403, 'InsufficientStorageSpace'],
  ['Dell ECS', 507, 'Insufficient Storage', 'there is not enough space on disk'],
  ['Swift', 400, 'EntityTooLarge', 'Upload exceeds quota.'],
  ['Garage', 403, 'AccessDenied', 'Forbidden: Bucket size quota is reached, maximum total size: 1024.'],
  ['Garage, objects', 403, 'AccessDenied', 'Forbidden: Object quota is reached, maximum objects: 10.'],
  ['Backblaze', 403, 'AccessDenied', 'Cannot upload files, storage cap exceeded.'],
  ['a gateway', 500, 'InsufficientStorage'],
];

describe('a store that is full', () => {
  it.each(WORDS)('is asked once, and told apart from others: %s', async (_, status, code, message) => {
    server.habits = { ...AMAZON, full: { status, code, ...(message && { message }) } };
    server.quota = 0;
    const failure = await failureOf(open().put(KEY, BYTES, { ...createOnly, createOnly: false }));
    expect(failure).toMatchObject({ message: 'the store is full', transient: false });
    expect(failure.detail).toContain(`was answered with ${status} ${code}`);
    expect(failure.hint).toContain('"wal-e delete"');
    expect(server.log).toHaveLength(1);
  });

  it('need not say more than its status', async () => {
    server.habits = { ...POOREST, full: { status: 507, code: '' } };
    server.quota = 0;
    await failureOf(open().put(KEY, BYTES, createOnly));
    expect(puts()).toBe(1);
  });

  it.each([
    [403, 'AccessDenied', 'Access Denied'],
    [400, 'EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.'],
    [403, 'AccessDenied', 'Cannot upload, transaction cap exceeded'],
  ])('is not one that refuses for another reason: %s %s %s', async (status, code, message) => {
    server.habits = { ...AMAZON, full: { status, code, message } };
    server.quota = 0;
    await expect(open().put(KEY, BYTES, createOnly)).rejects.toMatchObject({ full: false });
  });

  it('is not one that lets nothing be read', async () => {
    server.intercept = () => ({
      status: 403,
      body: [Buffer.from('<Error><Code>QuotaExceeded</Code><Message>Too many downloads</Message></Error>')],
    });
    await expect(open().get(KEY, call)).rejects.toMatchObject({ full: false });
  });

  it('may say so in a document that comes with 200', async () => {
    const store = open();
    const document = '<Error><Code>QuotaExceeded</Code><Message>no room</Message></Error>';
    server.intercept = ({ method, query }) =>
      method === 'POST' && query.has('uploadId') ? { status: 200, body: [Buffer.from(document)] } : undefined;
    await failureOf(store.put(KEY, streamOf(seededBytes(6 * MB, 1)), createOnly));
    expect(server.log.filter((line) => line.startsWith('POST'))).toHaveLength(2);
  });
});

describe.each([
  ['Amazon', AMAZON],
  ['Ceph', CEPH],
  ['Swift', SWIFT],
])('in a full store like that of %s', (_, habits) => {
  beforeEach(() => {
    server.habits = habits;
  });

  it('what is there can be read and removed, and what was removed makes room', async () => {
    const store = open();
    expect(await store.put(KEY, BYTES, createOnly)).toBe('stored');
    server.quota = 150;
    await failureOf(store.put(OTHER, BYTES, createOnly));
    expect((await contents(await store.get(KEY, call))).equals(Buffer.concat(BYTES))).toBe(true);
    expect(await store.head(OTHER, call)).toBeUndefined();
    expect(await store.remove([KEY], call)).toEqual([]);
    expect(await store.put(OTHER, BYTES, createOnly)).toBe('stored');
  });

  it('a create-only put of what is there finds it there: its own earlier attempt may have used up the room', async () => {
    expect(await open().put(KEY, BYTES, createOnly)).toBe('stored');
    server.quota = 100;
    for (const conditional of ['true', undefined]) {
      const store = open({ environment: { WALE_S3_CONDITIONAL_PUT: conditional } });
      expect(await store.put(KEY, BYTES, createOnly)).toBe('exists');
    }
  });

  it('a put in parts leaves none behind', async () => {
    const store = open();
    server.quota = 7 * MB;
    await failureOf(store.put(KEY, streamOf(seededBytes(12 * MB, 1)), createOnly));
    expect(server.bucket.uploads.size).toBe(0);
    expect(server.bucket.keys()).toEqual([]);
  });
});

describe('what a full store does with conditions', () => {
  it('is not learnt from its having no room for the second put that is to show it', async () => {
    server.habits = CEPH;
    server.quota = 150;
    const notesFolder = createScratch();
    expect(await open({ notesFolder }).put(KEY, BYTES, createOnly)).toBe('stored');
    server.quota = Number.POSITIVE_INFINITY;
    server.forgetLog();
    expect(await open({ notesFolder }).put(OTHER, BYTES, createOnly)).toBe('stored');
    expect(server.log.map((line) => line.replace(/ .* /, ' '))).toEqual(['HEAD 404', 'PUT 200', 'PUT 412']);
  });
});

describe('where the credentials may not look at what is there', () => {
  it('the word that the store is full is passed on', async () => {
    const store = open({ environment: { WALE_S3_CONDITIONAL_PUT: 'true' } });
    server.policy = [{ Effect: 'Allow', Action: ['s3:PutObject'], Resource: '*' }];
    server.quota = 0;
    await failureOf(store.put(KEY, BYTES, createOnly));
  });
});
