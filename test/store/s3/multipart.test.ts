import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { partBytes } from '../../../src/store/s3/multipart.ts';
import type { Store } from '../../../src/store/store.ts';
import type { Part } from '../../harness/s3/bucket.ts';
import { CEPH, type Habits } from '../../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';

const MIB = 1024 * 1024;
const call = { signal: new AbortController().signal };
const replace = { ...call, createOnly: false, contentType: 'application/octet-stream' } as const;
const KEY = walKey('stream');

let server: S3Server;
let store: Store;
beforeEach(async () => {
  server = await createS3Server();
  store = openTestStore(server.url);
});
afterEach(async () => {
  await store.close();
  await server.close();
});

/** Counts what the store has taken from it. */
function source(mebibytes: number) {
  const taken = { mebibytes: 0, closed: false };
  async function* bytes() {
    try {
      for (let i = 0; i < mebibytes; i += 1) {
        taken.mebibytes += 1;
        yield Buffer.alloc(MIB, i);
      }
    } finally {
      taken.closed = true;
    }
  }
  return { bytes: bytes(), taken };
}

const methods = () =>
  server.log.map((line) => line.replace(/\?.*(uploads|partNumber=\d+|uploadId).*? /, ' $1 '));

describe('the size of parts', () => {
  it('[arc-12] is 5 MiB, which keeps memory small, up to 43 GiB, and lets 5 TiB be stored in at most 10,000', () => {
    expect(partBytes()).toBe(5 * MIB);
    expect(partBytes(43 * 1024 * MIB)).toBe(5 * MIB);
    for (const size of [100 * 1024 * MIB, 1024 * 1024 * MIB, 5 * 1024 * 1024 * MIB]) {
      expect(Math.ceil(size / partBytes(size))).toBeLessThanOrEqual(10_000);
      expect(partBytes(size) % MIB).toBe(0);
    }
    expect(partBytes(5 * 1024 * 1024 * MIB)).toBeLessThan(600 * MIB);
  });

  it('is the same for all parts but the last, whatever the pieces the stream comes in', async () => {
    const parts: number[] = [];
    server.intercept = ({ query, body }) => {
      if (query.has('partNumber')) parts.push(body.reduce((sum, chunk) => sum + chunk.length, 0) / MIB);
      return undefined;
    };
    await store.put(KEY, source(21).bytes, replace);
    expect(parts.sort((a, b) => b - a)).toEqual([5, 5, 5, 5, 1]);
    await store.put(KEY, source(11).bytes, { ...replace, expectedBytes: 90_000 * MIB });
    expect(parts.slice(5).sort((a, b) => b - a)).toEqual([10, 1]);
  });

  it('what fits in one part is one put', async () => {
    await store.put(KEY, source(4).bytes, replace);
    expect(methods().map((line) => line.split(' ')[0])).toEqual(['PUT']);
  });
});

describe('a stream', () => {
  it('is taken no faster than the store takes it: a few parts are in memory', async () => {
    const { bytes, taken } = source(80);
    let most = 0;
    let arrived = 0;
    server.intercept = ({ query, body }) => {
      if (!query.has('partNumber')) return undefined;
      most = Math.max(most, taken.mebibytes - arrived);
      arrived += body.reduce((sum, chunk) => sum + chunk.length, 0) / MIB;
      return undefined;
    };
    await store.put(KEY, bytes, replace);
    expect(arrived).toBe(80);
    expect(most).toBeLessThanOrEqual(4 * 5);
  });

  it('is what the store says it is, in the end: a wrong size is an error, and removed', async () => {
    server.intercept = ({ method, key }) => {
      if (method === 'HEAD') {
        const object = server.bucket.get(key);
        if (object !== undefined) server.bucket.set(key, { ...object, size: 17 });
      }
      return undefined;
    };
    await expect(store.put(KEY, source(9).bytes, replace)).rejects.toThrow(
      'the store has not kept what was sent',
    );
    expect(server.bucket.keys()).toEqual([]);
  });
});

/** As of a second process, which PostgreSQL starts when it has lost sight of the first: encrypted, no two are alike. */
describe('an object that another upload has put in the place of ours', () => {
  const others = { size: [17 * MIB, 'another size'], same: [9 * MIB, 'our size'] } as const;
  const replacedBy = (bytes: number) => {
    server.habits = CEPH;
    server.intercept = ({ method, key }) => {
      const object = server.bucket.get(key);
      if (method === 'HEAD' && object !== undefined) {
        const body = [Buffer.alloc(bytes, 99)];
        const headers = { 'x-amz-meta-wal-e-upload': 'another' };
        server.bucket.set(key, { ...object, body, size: bytes, etag: `${'0'.repeat(32)}-2`, headers });
      }
      return undefined;
    };
  };

  it.each(Object.values(others))(
    'is there and stays, for whoever wanted to create one: %d bytes, %s',
    async (bytes) => {
      replacedBy(bytes);
      expect(await store.put(KEY, source(9).bytes, { ...replace, createOnly: true })).toBe('exists');
      expect(server.bucket.get(`some/prefix/${KEY}`)?.size).toBe(bytes);
    },
  );

  it.each(Object.values(others))(
    'is an error for whoever wanted to replace it, and stays: %d bytes, %s',
    async (bytes) => {
      replacedBy(bytes);
      await expect(store.put(KEY, source(9).bytes, replace)).rejects.toThrow(
        'another object has taken the place of what was sent',
      );
      expect(server.bucket.get(`some/prefix/${KEY}`)?.size).toBe(bytes);
    },
  );
});

/** Amazon compares the CRC32 of the whole; others are told by their ETags. */
describe('what the store has put together of the parts', () => {
  const swapped: Habits['join'] = ([a, b, ...rest]) => [b, a, ...rest].filter((part) => part !== undefined);
  const reads = () => server.log.filter((line) => line.startsWith('GET ')).length;
  const put = (habits: Partial<Habits>) => {
    server.habits = { ...CEPH, ...habits };
    return store.put(KEY, source(12).bytes, replace);
  };

  it.each([
    ['given', swapped],
    ['empty', swapped],
    ['given', (parts: readonly Part[]) => parts.map((part, i) => (i === 1 ? (parts[0] ?? part) : part))],
  ] as const)(
    'in another order is an error, and removed (ETag of the completion: %s)',
    async (completeEtag, join) => {
      await expect(put({ completeEtag, join })).rejects.toMatchObject({
        message: 'the store has not kept what was sent',
        detail: `"${KEY}" was read back, and is not the 3 parts that were sent, in their order.`,
      });
      expect(reads()).toBe(1);
      expect(server.bucket.keys()).toEqual([]);
      expect(server.bucket.uploads.size).toBe(0);
    },
  );

  it.each(['given', 'empty'] as const)('in order costs no request more: %s', async (completeEtag) => {
    expect(await put({ completeEtag })).toBe('stored');
    expect(server.log.map((line) => line.split(' ')[0])).toEqual([
      'POST',
      'PUT',
      'PUT',
      'PUT',
      'POST',
      'HEAD',
    ]);
  });

  it('is read back once where ETags of S3’s form are made otherwise, and is not what was sent only if it is not', async () => {
    const otherwise = { compositeEtag: 'otherwise' } as const;
    expect(await put(otherwise)).toBe('stored');
    expect(reads()).toBe(1);
    expect(await put(otherwise)).toBe('stored');
    expect(reads()).toBe(1);
    const another = openTestStore(server.url);
    server.habits = { ...CEPH, ...otherwise, join: swapped };
    await expect(another.put(KEY, source(12).bytes, replace)).rejects.toThrow('has not kept what was sent');
    await another.close();
  });

  it('is read back every time once the store has shown that it makes ETags as S3 does', async () => {
    expect(await put({})).toBe('stored');
    expect(await put({ compositeEtag: 'otherwise' })).toBe('stored');
    expect(await put({ compositeEtag: 'otherwise' })).toBe('stored');
    expect(reads()).toBe(2);
    await expect(put({ join: swapped })).rejects.toThrow('the store has not kept what was sent');
  });

  it.each(['opaque', 'empty', 'odd'] as const)(
    'is taken as it is where the ETags of parts say nothing: %s',
    async (etag) => {
      expect(await put({ etag, completeEtag: 'empty' })).toBe('stored');
      expect(server.bucket.get(`some/prefix/${KEY}`)?.size).toBe(12 * MIB);
    },
  );
});

describe('an upload that is stopped', () => {
  it('while a part is on its way: it is aborted, and its source closed', async () => {
    const controller = new AbortController();
    const { bytes, taken } = source(200);
    server.intercept = ({ query }) => {
      if (query.get('partNumber') === '2') controller.abort(new Error('stopped'));
      return undefined;
    };
    await expect(store.put(KEY, bytes, { ...replace, signal: controller.signal })).rejects.toThrow('stopped');
    expect(server.bucket.uploads.size).toBe(0);
    expect(server.bucket.keys()).toEqual([]);
    await expect.poll(() => taken.closed).toBe(true);
    expect(taken.mebibytes).toBeLessThan(200);
  });

  it('while its source says nothing: it does not wait for it', async () => {
    const controller = new AbortController();
    async function* hanging() {
      for (let i = 0; i < 20; i += 1) yield Buffer.alloc(MIB, i);
      controller.abort(new Error('stopped'));
      await new Promise(() => undefined);
    }
    await expect(store.put(KEY, hanging(), { ...replace, signal: controller.signal })).rejects.toThrow(
      'stopped',
    );
    expect(server.bucket.uploads.size).toBe(0);
  });

  it('by a permission that is missing: at once, and without reading on', async () => {
    const { bytes, taken } = source(400);
    server.intercept = ({ query }) =>
      query.get('partNumber') === '3'
        ? { status: 403, body: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')] }
        : undefined;
    await expect(store.put(KEY, bytes, replace)).rejects.toThrow('the store denies access');
    expect(taken.mebibytes).toBeLessThan(200);
    expect(server.bucket.uploads.size).toBe(0);
  });
});

describe('leftovers', () => {
  it('of others are listed with key and time, and removed one by one', async () => {
    const controller = new AbortController();
    // An upload whose abort is refused stays.
    server.intercept = ({ method, query }) => {
      if (query.get('partNumber') === '2') controller.abort(new Error('stopped'));
      return method === 'DELETE' ? { status: 403 } : undefined;
    };
    await expect(store.put(KEY, source(40).bytes, { ...replace, signal: controller.signal })).rejects.toThrow(
      'stopped',
    );
    server.intercept = undefined;
    const found = [];
    for await (const page of store.leftovers('wal_005/', call)) found.push(...page);
    expect(found.map(({ key }) => key)).toEqual([KEY]);
    expect(Math.abs(Date.now() - (found[0]?.started.getTime() ?? 0))).toBeLessThan(60_000);
    for (const leftover of found) await store.removeLeftover(leftover, call);
    for (const leftover of found) await store.removeLeftover(leftover, call);
    expect(server.bucket.uploads.size).toBe(0);
  });
});
