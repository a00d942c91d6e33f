/** What is done on AWS only: no endpoint set, TLS, encryption by default, checksums and conditions of whole uploads; by the store, then by the program. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import type { Store } from '../../src/store/store.ts';
import { contents, storeContract } from '../contract/store.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { seededBytes } from '../harness/random.ts';
import { type AwsStandIn, createAwsStandIn } from '../harness/s3/aws.ts';
import type { Fault } from '../harness/s3/fault-proxy.ts';
import type { Received } from '../harness/s3/request.ts';
import { TEST_BUCKET } from '../harness/s3/server.ts';
import { openTestStore } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
const replace = { ...createOnly, createOnly: false } as const;
const KEY = walKey('stream');
const OBJECT = `some/prefix/${KEY}`;
const LARGE = seededBytes(9 * 1024 * 1024, 4);
/** So that a part of a backup is uploaded in several. */
const NOISE = seededBytes(18 * 1024 * 1024, 6);

function open({ environment }: AwsStandIn): Store {
  return openTestStore('', { environment: { ...environment, WALE_S3_ENDPOINT: '' }, attempts: 4 });
}

storeContract('S3, where AWS would be', async () => {
  const aws = await createAwsStandIn();
  const store = open(aws);
  return {
    store,
    close: async () => {
      await store.close();
      await aws.close();
    },
  };
});

let aws: AwsStandIn;
let store: Store;
beforeAll(async () => {
  aws = await createAwsStandIn();
});
afterAll(() => aws.close());
beforeEach(() => {
  store = open(aws);
  aws.server.bucket.delete(OBJECT);
  aws.server.intercept = undefined;
  aws.faults.plan = () => undefined;
});
afterEach(() => store.close());

async function* streamed(bytes = LARGE): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.byteLength; i += 1_000_000) yield bytes.subarray(i, i + 1_000_000);
}

const isPart = (target: string) => /[?&]partNumber=2\b/.test(target);
const isComplete = (method: string, target: string) => method === 'POST' && /[?&]uploadId=/.test(target);

/** When an upload is completed, its first part is another: as long as the right one, and of the right ETag. */
function putTogetherWrongly(): void {
  aws.server.intercept = ({ method, query }) => {
    const upload = aws.server.bucket.uploads.get(query.get('uploadId') ?? '');
    const part = upload?.parts.get(1);
    if (method === 'POST' && part !== undefined) {
      upload?.parts.set(1, { ...part, body: [Buffer.alloc(part.size, 7)] });
    }
    return undefined;
  };
}

describe('an upload in parts', () => {
  it('begins with the kind of checksum, ends with size and checksum of the whole, under the condition', async () => {
    const seen: Received[] = [];
    aws.server.intercept = (request) => {
      seen.push(request);
      return undefined;
    };
    expect(await store.put(KEY, streamed(), createOnly)).toBe('stored');
    const [begin, ...parts] = seen.filter(({ query }) => query.has('uploads') || query.has('partNumber'));
    const complete = seen.find(({ method, query }) => method === 'POST' && query.has('uploadId'));
    expect(begin?.headers).toMatchObject({
      'x-amz-checksum-algorithm': 'CRC32',
      'x-amz-checksum-type': 'FULL_OBJECT',
      'x-amz-server-side-encryption': 'AES256',
    });
    expect(parts.map(({ headers }) => headers['x-amz-checksum-crc32'])).toEqual(
      parts.map(() => expect.stringMatching(/^[A-Za-z0-9+/]{6}==$/)),
    );
    expect(complete?.headers).toMatchObject({
      'x-amz-checksum-type': 'FULL_OBJECT',
      'x-amz-checksum-crc32': aws.server.bucket.get(OBJECT)?.headers['x-amz-checksum-crc32'],
      'x-amz-mp-object-size': String(LARGE.byteLength),
      'if-none-match': '*',
    });
    expect(aws.asked.every(({ target }) => target === 'wale-test.s3.us-east-1.amazonaws.com:443')).toBe(true);
    expect(Buffer.compare(await contents(await store.get(KEY, call)), LARGE)).toBe(0);
  });

  it('that AWS puts together wrongly is refused, at once, and leaves nothing', async () => {
    putTogetherWrongly();
    aws.server.forgetLog();
    await expect(store.put(KEY, streamed(), replace)).rejects.toMatchObject({
      message: 'the store refuses the request',
      detail: expect.stringContaining('BadDigest'),
      transient: false,
    });
    expect(aws.server.log.filter((line) => / 400$/.test(line))).toHaveLength(1);
    expect(aws.server.bucket.get(OBJECT)).toBeUndefined();
    expect(aws.server.bucket.uploads.size).toBe(0);
  });

  it('does not replace what another put while it was under way', async () => {
    const other = seededBytes(1000, 5);
    aws.server.intercept = ({ method, query }) => {
      if (method !== 'POST' || !query.has('uploadId')) return undefined;
      aws.server.intercept = undefined;
      const [first] = [...aws.server.bucket.uploads.values()];
      const headers = { 'x-amz-meta-by': 'another' };
      aws.server.bucket.set(OBJECT, {
        body: [Buffer.from(other)],
        size: other.byteLength,
        etag: 'other',
        modified: first?.started ?? new Date(),
        contentType: 'text/plain',
        headers,
      });
      return undefined;
    };
    expect(await store.put(KEY, streamed(), createOnly)).toBe('exists');
    expect(Buffer.concat(aws.server.bucket.get(OBJECT)?.body ?? []).equals(Buffer.from(other))).toBe(true);
    expect(aws.server.bucket.uploads.size).toBe(0);
  });

  it.each([
    ['a part altered', { kind: 'alter-up', at: 70_000 }, isPart],
    ['a part cut', { kind: 'truncate-up', bytes: 70_000 }, isPart],
    ['a part whose answer is lost', { kind: 'reset-after', bytes: 0 }, isPart],
  ] as const)('survives %s on the way up', async (_, fault: Fault, fits) => {
    let left = 1;
    aws.faults.plan = ({ target }) => {
      if (left === 0 || !fits(target)) return undefined;
      left -= 1;
      return fault;
    };
    expect(await store.put(KEY, streamed(), replace)).toBe('stored');
    expect(left).toBe(0);
    expect(Buffer.concat(aws.server.bucket.get(OBJECT)?.body ?? []).equals(Buffer.from(LARGE))).toBe(true);
  });

  it.each([
    ['altered', { kind: 'alter-up', at: 80 }],
    ['lost', { kind: 'reset-after', bytes: 0 }],
    ['answered twice', { kind: 'duplicate' }],
  ] as const)('survives a completion that is %s', async (_, fault: Fault) => {
    let left = 1;
    aws.faults.plan = ({ method, target }) => {
      if (left === 0 || !isComplete(method, target)) return undefined;
      left -= 1;
      return fault;
    };
    // A completion that was heard, and is asked again, finds what it has made itself: the caller compares.
    expect(await store.put(KEY, streamed(), createOnly)).toMatch(/^(stored|exists)$/);
    expect(left).toBe(0);
    expect(Buffer.concat(aws.server.bucket.get(OBJECT)?.body ?? []).equals(Buffer.from(LARGE))).toBe(true);
    expect(aws.server.bucket.uploads.size).toBe(0);
  });
});

describe('an object of parts on the way down', () => {
  it.each([
    ['altered', { kind: 'alter-down', at: 8_500_000 }],
    ['cut, the length made to fit', { kind: 'truncate-down', bytes: 8_500_000 }],
  ] as const)('%s: an error', async (_, fault: Fault) => {
    await store.put(KEY, streamed(), replace);
    aws.faults.plan = ({ method }) => (method === 'GET' ? fault : undefined);
    await expect(store.get(KEY, call).then(contents)).rejects.toThrow('altered on its way from the store');
  });

  it('that another tool put together, with a checksum of checksums, is not compared with that', async () => {
    await store.put(KEY, streamed(), replace);
    const object = aws.server.bucket.get(OBJECT);
    if (object === undefined) throw new Error('the object is not there');
    const composite = { 'x-amz-checksum-crc32': 'AAAAAA==-2', 'x-amz-checksum-type': 'COMPOSITE' };
    aws.server.bucket.set(OBJECT, { ...object, headers: composite });
    expect((await contents(await store.get(KEY, call))).equals(Buffer.from(LARGE))).toBe(true);
    // Some stores leave the number of parts out.
    const bare = { ...composite, 'x-amz-checksum-crc32': 'AAAAAA==' };
    aws.server.bucket.set(OBJECT, { ...object, headers: bare });
    expect((await contents(await store.get(KEY, call))).equals(Buffer.from(LARGE))).toBe(true);
  });
});

describe('the program', () => {
  const PREFIX = `s3://${TEST_BUCKET}/some/prefix`;
  const run = (...words: string[]) =>
    runProgram(words, { environment: { ...aws.environment, WALE_S3_PREFIX: PREFIX, WALE_RETRIES: '3' } });
  /** Never started. */
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await createCluster();
    writeFileSync(join(cluster.dataDirectory, 'noise.bin'), NOISE);
  });
  afterAll(() => cluster.dispose());
  const asked = () => aws.server.log.map((line) => line.replace(/^(\S+).* (\d+)$/, '$1 $2'));

  it('pushes a segment by one request, encrypted and create-only, and gets it back by one', async () => {
    const name = '000000010000000000000007';
    const walDirectory = join(createScratch(), 'pg_wal');
    mkdirSync(join(walDirectory, 'archive_status'), { recursive: true });
    const path = join(walDirectory, name);
    const segment = segmentBytes(name, 1024 * 1024, 1);
    writeFileSync(path, segment);
    aws.server.forgetLog();
    expect(await run('wal-push', path)).toMatchObject({ status: 0 });
    expect(asked()).toEqual(['PUT 200']);
    const headers = aws.server.bucket.get(`some/prefix/${walKey(name)}`)?.headers;
    expect(headers).toMatchObject({ 'x-amz-server-side-encryption': 'AES256' });
    aws.server.forgetLog();
    expect(await run('wal-fetch', '-p', '0', name, join(walDirectory, 'fetched'))).toMatchObject({
      status: 0,
    });
    expect(asked()).toEqual(['GET 200']);
    expect(readFileSync(join(walDirectory, 'fetched')).equals(segment)).toBe(true);
    writeFileSync(path, segmentBytes(name, 1024 * 1024, 2));
    expect(await run('wal-push', path)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('the archive holds another content under this name'),
    });
  });

  it('backs up and restores through damage in both directions; damage that stays is an error', async () => {
    const once = new Set<string>();
    aws.faults.plan = ({ method, target }) => {
      const kind = isPart(target) ? 'part' : isComplete(method, target) ? 'complete' : undefined;
      if (kind === undefined || once.has(kind)) return undefined;
      once.add(kind);
      return { kind: 'alter-up', at: 60 };
    };
    const pushed = await run('backup-push', '--while-offline', cluster.dataDirectory);
    expect(pushed.status, pushed.stderr).toBe(0);
    expect([...once].sort()).toEqual(['complete', 'part']);
    expect(aws.server.bucket.uploads.size).toBe(0);

    let broken = 0;
    aws.faults.plan = ({ method, target }) => {
      if (method !== 'GET' || !/part_0000/.test(target) || broken === 2) return undefined;
      broken += 1;
      return { kind: 'alter-down', at: 12_000_000 };
    };
    const target = join(createScratch(), 'data');
    const fetched = await run('backup-fetch', target, 'LATEST');
    expect(fetched.status, fetched.stderr).toBe(0);
    expect(broken).toBeGreaterThan(0);
    expect(readFileSync(join(target, 'noise.bin')).equals(NOISE)).toBe(true);

    aws.faults.plan = ({ method, target: path }) =>
      method === 'GET' && /part_0000/.test(path) ? { kind: 'alter-down', at: 12_000_000 } : undefined;
    const failed = await run('backup-fetch', join(createScratch(), 'data'), 'LATEST');
    expect(failed.status).not.toBe(0);
    expect(failed.stderr).toMatch(/ERROR/);
  });

  it('fails when AWS puts an upload together wrongly: no backup, nothing left', async () => {
    for (const key of aws.server.bucket.keys()) aws.server.bucket.delete(key);
    putTogetherWrongly();
    const { status, stderr } = await run('backup-push', '--while-offline', cluster.dataDirectory);
    expect(status).toBe(1);
    expect(stderr).toContain('BadDigest');
    expect(aws.server.bucket.uploads.size).toBe(0);
    expect(aws.server.bucket.keys().filter((key) => /sentinel|part_/.test(key))).toEqual([]);
  });
});
