import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Key, walKey } from '../../src/archive/layout.ts';
import { StoreError } from '../../src/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { contents } from '../contract/store.ts';
import { seededBytes, seededRandom } from '../harness/random.ts';
import type { Stored } from '../harness/s3/bucket.ts';
import { createFaultProxy, type Fault, type FaultProxy, type Plan } from '../harness/s3/fault-proxy.ts';
import { createS3Server, type S3Server } from '../harness/s3/server.ts';
import { openTestStore, type TestStoreOptions } from '../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
const SMALL = seededBytes(300_000, 1);
const LARGE = seededBytes(9 * 1024 * 1024, 2);
/** For faults that only waiting shows. */
const HURRIED = { timeouts: { connectMs: 400, idleMs: 500 } };
/** On a busy machine a sound request may take longer than that, too, and more than once. */
const ONCE_MORE = { ...HURRIED, attempts: 40 };
const PREFIX = 'some/prefix/';
const SEED = Number(process.env.WALE_TEST_SEED ?? 20_261_121);

/** No port that a server of another test may be given meanwhile. */
const NOBODY = 'http://127.0.0.1:1';

let server: S3Server;
let proxy: FaultProxy;
let number = 0;
let key: Key;
let small: Stored;
let stores: Store[] = [];

beforeAll(async () => {
  server = await createS3Server();
  proxy = await createFaultProxy(server.url);
  small = await stored(SMALL);
});
afterAll(async () => {
  await proxy.close();
  await server.close();
});
beforeEach(async () => {
  for (const store of stores) await store.close();
  stores = [];
  number += 1;
  key = walKey(`object-${number}`);
  proxy.plan = () => undefined;
  server.bucket.set(PREFIX + walKey('there'), small);
});

function open(options: TestStoreOptions = {}): Store {
  const store = openTestStore(proxy.url, options);
  stores.push(store);
  return store;
}

/** As if it had been put: by a put of the same bytes. */
async function stored(bytes: Uint8Array): Promise<Stored> {
  const store = openTestStore(server.url);
  const scratch = walKey(`scratch-${bytes.byteLength}`);
  await store.put(scratch, [bytes], { ...createOnly, createOnly: false });
  await store.close();
  const object = server.bucket.get(PREFIX + scratch);
  if (object === undefined) throw new Error('the test server lost an object');
  return object;
}

async function* streamed(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.byteLength; i += 1_000_000) yield bytes.subarray(i, i + 1_000_000);
}

function inStore(of: Key): Buffer | undefined {
  const object = server.bucket.get(PREFIX + of);
  return object === undefined ? undefined : Buffer.concat(object.body);
}

/** Hits the first request that fits, and `times` altogether. */
function hitting(
  fits: (request: { method: string; target: string }) => boolean,
  fault: Fault,
  times = 1,
): Plan {
  let left = times;
  return (request) => {
    if (left === 0 || !fits(request)) return undefined;
    left -= 1;
    return fault;
  };
}

const ONCE: Record<string, Fault> = {
  'a reset before the request arrives': { kind: 'reset-before' },
  'a reset before the answer': { kind: 'reset-after', bytes: 0 },
  'a reset within the headers of the answer': { kind: 'reset-after', bytes: 40 },
  'a connection closed before the answer': { kind: 'close-after', bytes: 0 },
  'a store that takes the request and says nothing': { kind: 'silence' },
  'an answer that stalls in its headers': { kind: 'stall-after', bytes: 60 },
  'an answer that comes when nobody waits any more': { kind: 'late', ms: 700 },
  'an answer that comes twice': { kind: 'duplicate' },
  'an answer in small pieces': { kind: 'trickle', bytes: 100_000, everyMs: 10 },
  'a plain 500': { kind: 'answer', status: 500 },
  'a 502 of a proxy': { kind: 'answer', status: 502 },
  InternalError: { kind: 'answer', status: 500, code: 'InternalError' },
  SlowDown: { kind: 'answer', status: 503, code: 'SlowDown' },
  'too many requests': { kind: 'answer', status: 429 },
  RequestTimeout: { kind: 'answer', status: 400, code: 'RequestTimeout' },
  'a conflict with another request': { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' },
};

describe('a fault that passes does not show', () => {
  for (const [name, fault] of Object.entries(ONCE)) {
    it(`put: ${name}`, async () => {
      const store = open(ONCE_MORE);
      proxy.plan = hitting(({ method }) => method === 'PUT', fault);
      // Whether the first attempt arrived cannot be known; the caller compares on "exists".
      expect(await store.put(key, [SMALL], createOnly)).toMatch(/^(stored|exists)$/);
      expect(inStore(key)?.equals(SMALL)).toBe(true);
      await afterwards(store);
    });

    it(`get: ${name}`, async () => {
      const store = open(ONCE_MORE);
      proxy.plan = hitting(({ method }) => method === 'GET', fault);
      const bytes = await contents(await store.get(walKey('there'), call));
      expect(bytes.equals(SMALL)).toBe(true);
      await afterwards(store);
    });

    it(`list and remove: ${name}`, async () => {
      const store = open(ONCE_MORE);
      const keys = [walKey(`list-${number}/a`), walKey(`list-${number}/b`)];
      for (const one of keys) server.bucket.set(PREFIX + one, small);
      proxy.plan = hitting(({ method }) => method === 'GET', fault);
      const listed: string[] = [];
      for await (const page of store.list(`wal_005/list-${number}/`, call))
        listed.push(...page.map((info) => info.key));
      expect(listed).toEqual(keys);
      proxy.plan = hitting(({ method }) => method === 'POST', fault);
      expect(await store.remove(keys, call)).toEqual([]);
      expect(keys.map(inStore)).toEqual([undefined, undefined]);
      await afterwards(store);
    });
  }

  for (const [name, fault] of Object.entries(ONCE)) {
    for (const [step, fits] of Object.entries({
      'begins an upload': ({ target }: { target: string }) => /[?&]uploads\b/.test(target),
      'puts a part': ({ target }: { target: string }) => /partNumber=2\b/.test(target),
      'completes an upload': ({ method, target }: { method: string; target: string }) =>
        method === 'POST' && /uploadId=/.test(target),
    })) {
      it(`a stream, where it ${step}: ${name}`, async () => {
        const store = open(ONCE_MORE);
        proxy.plan = hitting(fits, fault);
        expect(await store.put(key, streamed(LARGE), createOnly)).toBe('stored');
        expect(inStore(key)?.equals(LARGE)).toBe(true);
        expect(server.bucket.uploads.size).toBe(0);
      });
    }
  }

  it('[wpush-13] a burst of SlowDown', async () => {
    const store = open();
    proxy.plan = hitting(() => true, { kind: 'answer', status: 503, code: 'SlowDown' }, 5);
    expect(await store.put(key, [SMALL], createOnly)).toBe('stored');
  });

  /** The connections are sound: what follows is answered rightly. */
  async function afterwards(store: Store): Promise<void> {
    const next = walKey(`after-${number}`);
    // On a busy machine the answer to a sound request may come too late, too.
    expect(await store.put(next, [Buffer.from('after')], createOnly)).toMatch(/^(stored|exists)$/);
    expect(inStore(next)?.toString()).toBe('after');
    expect((await contents(await store.get(next, call))).toString()).toBe('after');
    expect(await store.get(walKey('not there'), call)).toBeUndefined();
  }
});

describe('bytes changed on the way up are refused by the store and sent again', () => {
  for (const [name, fault] of Object.entries({
    'one byte altered': { kind: 'alter-up', at: 150_000 },
    'the end cut off': { kind: 'truncate-up', bytes: 100_000 },
  } satisfies Record<string, Fault>)) {
    it(`put: ${name}`, async () => {
      proxy.plan = hitting(({ method }) => method === 'PUT', fault);
      expect(await open().put(key, [SMALL], createOnly)).toBe('stored');
      expect(inStore(key)?.equals(SMALL)).toBe(true);
    });

    it(`a part: ${name}`, async () => {
      proxy.plan = hitting(({ target }) => /partNumber=2\b/.test(target), fault);
      expect(await open().put(key, streamed(LARGE), createOnly)).toBe('stored');
      expect(inStore(key)?.equals(LARGE)).toBe(true);
    });

    it(`always: ${name}`, async () => {
      proxy.plan = hitting(({ method }) => method === 'PUT', fault, 1000);
      await expect(open().put(key, [SMALL], createOnly)).rejects.toThrow(
        'the store could not do what was asked',
      );
      expect(inStore(key)).toBeUndefined();
    });
  }

  it('the list of parts altered', async () => {
    proxy.plan = hitting(({ method, target }) => method === 'POST' && /uploadId=/.test(target), {
      kind: 'alter-up',
      at: 80,
    });
    expect(await open().put(key, streamed(LARGE), createOnly)).toBe('stored');
    expect(inStore(key)?.equals(LARGE)).toBe(true);
  });
});

describe('what breaks on the way down', () => {
  for (const [name, fault] of Object.entries({
    'reset in the body': { kind: 'reset-after', bytes: 120_000 },
    'closed in the body': { kind: 'close-after', bytes: 120_000 },
    'stalled in the body': { kind: 'stall-after', bytes: 120_000 },
  } satisfies Record<string, Fault>)) {
    it(`${name}: goes on from there by Range, never the whole again`, async () => {
      proxy.plan = hitting(({ method }) => method === 'GET', fault, 2);
      server.forgetLog();
      const bytes = await contents(await open().get(walKey('there'), call));
      expect(bytes.equals(SMALL)).toBe(true);
      expect(server.log.map((line) => line.split(' ').at(-1))).toEqual(['200', '206', '206']);
    });
  }

  it('at any byte of the answer: the same object, whole', async () => {
    const random = seededRandom(SEED);
    for (let i = 0; i < 40; i += 1) {
      // The headers of the answer are the first 400 or so.
      const bytes = Math.floor(random() * (i % 2 === 0 ? 600 : 300_000));
      const kind = i % 4 < 2 ? 'reset-after' : 'close-after';
      proxy.plan = hitting(({ method }) => method === 'GET', { kind, bytes });
      const read = await contents(await open().get(walKey('there'), call));
      expect(read.equals(SMALL), `${kind} ${bytes}, seed ${SEED}`).toBe(true);
    }
  });

  for (const [name, fault] of Object.entries({
    'one byte altered': { kind: 'alter-down', at: 150_000 },
    'the end cut off, the length made to fit': { kind: 'truncate-down', bytes: 100_000 },
  } satisfies Record<string, Fault>)) {
    it(`${name}: an error, whether put at once or in parts`, async () => {
      const store = open();
      await store.put(key, [LARGE], createOnly);
      proxy.plan = hitting(({ method }) => method === 'GET', fault, 1000);
      for (const of of [walKey('there'), key]) {
        await expect(store.get(of, call).then(contents)).rejects.toThrow('altered on its way from the store');
      }
    });
  }

  it('the object is another one when reading goes on: an error, never a mixture', async () => {
    const store = open();
    const other = await stored(seededBytes(300_000, 77));
    proxy.plan = (_, n) => {
      if (n > first) server.bucket.set(PREFIX + walKey('there'), other);
      return n === first ? { kind: 'reset-after', bytes: 120_000 } : undefined;
    };
    const first = proxy.done.requests;
    await expect(store.get(walKey('there'), call).then(contents)).rejects.toThrow(
      'an object changed while it was read',
    );
  });

  it('a store that ignores Range: an error, never the beginning twice', async () => {
    server.habits = { ...server.habits, ranges: false };
    proxy.plan = hitting(({ method }) => method === 'GET', { kind: 'reset-after', bytes: 120_000 });
    await expect(open().get(walKey('there'), call).then(contents)).rejects.toThrow(
      'cannot go on with an object',
    );
    server.habits = { ...server.habits, ranges: true };
  });

  for (const [name, fault] of Object.entries({
    'broken off': { kind: 'close-after', bytes: 300 },
    'cut, the length made to fit': { kind: 'truncate-down', bytes: 300 },
    'empty but for its length': { kind: 'truncate-down', bytes: 0 },
  } satisfies Record<string, Fault>)) {
    it(`a listing ${name}: asked for again, never taken for the end`, async () => {
      server.bucket.set(`${PREFIX}cut/a`, small);
      proxy.plan = hitting(({ method }) => method === 'GET', fault);
      const listed: string[] = [];
      for await (const page of open().list('cut/', call)) listed.push(...page.map((info) => info.key));
      expect(listed).toEqual(['cut/a']);
    });
  }
});

describe('a wrong ETag', () => {
  const wrong: Fault = { kind: 'header', name: 'etag', value: '"00000000000000000000000000000000"' };

  it('of a put does not matter: the store has checked the payload against its signature', async () => {
    proxy.plan = hitting(({ method }) => method === 'PUT', wrong);
    expect(await open().put(key, [SMALL], createOnly)).toBe('stored');
    expect(inStore(key)?.equals(SMALL)).toBe(true);
  });

  it('of a part makes the store refuse the whole; nothing is stored, nothing is left', async () => {
    proxy.plan = hitting(({ target }) => /partNumber=2\b/.test(target), wrong);
    await expect(open().put(key, streamed(LARGE), createOnly)).rejects.toMatchObject({
      detail: expect.stringContaining('InvalidPart'),
    });
    expect(inStore(key)).toBeUndefined();
    expect(server.bucket.uploads.size).toBe(0);
  });
});

describe('a store that gives all its answers the same identity', () => {
  it('is not taken for one that repeats itself', async () => {
    proxy.plan = () => ({ kind: 'header', name: 'x-amz-request-id', value: '1' });
    const store = open({ attempts: 2 });
    for (let i = 0; i < 5; i += 1) {
      expect(await store.put(walKey(`same-${number}-${i}`), [SMALL], createOnly)).toMatch(
        /^(stored|exists)$/,
      );
      expect(inStore(walKey(`same-${number}-${i}`))?.equals(SMALL)).toBe(true);
    }
    expect((await contents(await store.get(walKey('there'), call))).equals(SMALL)).toBe(true);
  });
});

describe('what stays wrong fails, in time, with the last that was seen', () => {
  it('a store that takes requests and says nothing, at the deadline', async () => {
    proxy.plan = () => ({ kind: 'silence' });
    const limits = { ...HURRIED, attempts: 1000, deadlineMs: 1500 };
    const failure = await failureOf(open(limits).put(key, [SMALL], createOnly));
    expect(failure.message).toBe('the store did not do what was asked within the deadline of 1.5 s');
    expect(failure.detail).toContain('the store does not answer');
  });

  it('an answer that trickles in, at the deadline', async () => {
    proxy.plan = () => ({ kind: 'trickle', bytes: 10, everyMs: 50 });
    const failure = await failureOf(open({ deadlineMs: 800 }).get(walKey('there'), call).then(contents));
    expect(failure.message).toContain('within the deadline of 0.8 s');
  });

  it('nobody who listens, after the attempts', async () => {
    const attempts: number[] = [];
    const store = openTestStore(NOBODY, { attempts: 4, onRetry: ({ number: n }) => attempts.push(n) });
    const failure = await failureOf(store.put(key, [SMALL], createOnly));
    expect(failure.message).toBe('the store cannot be reached');
    expect(failure.detail).toMatch(/ECONNREFUSED.* It was tried 4 times\.$/);
    expect(failure.hint).toContain('WALE_S3_ENDPOINT');
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('a store that always fails, after the attempts, with its own words', async () => {
    proxy.plan = () => ({ kind: 'answer', status: 503, code: 'SlowDown' });
    const environment = { WALE_S3_CONDITIONAL_PUT: 'true' };
    const failure = await failureOf(open({ attempts: 3, environment }).put(key, [SMALL], createOnly));
    expect(failure.detail).toMatch(/^PUT .* 503 SlowDown "by the proxy"\. It was tried 3 times\.$/);
  });

  it('a stream whose parts always fail: the upload is aborted', async () => {
    const store = open({ attempts: 2 });
    proxy.plan = ({ target }) => (/partNumber=2\b/.test(target) ? { kind: 'reset-before' } : undefined);
    await expect(store.put(key, streamed(LARGE), createOnly)).rejects.toThrow(
      'the connection to the store broke',
    );
    expect(server.bucket.uploads.size).toBe(0);
    expect(inStore(key)).toBeUndefined();
  });
});

describe('what asking again cannot help fails at once', () => {
  for (const [code, status, hint] of [
    ['ExpiredToken', 400, 'AWS_SESSION_TOKEN'],
    ['InvalidAccessKeyId', 403, 'AWS_ACCESS_KEY_ID'],
    ['SignatureDoesNotMatch', 403, 'AWS_SECRET_ACCESS_KEY'],
    ['AccessDenied', 403, 'AWS_ACCESS_KEY_ID'],
    ['NoSuchBucket', 404, 'WALE_S3_PREFIX'],
  ] as const) {
    it(`${code}, with a hint that names ${hint}`, async () => {
      const store = open({ environment: { WALE_S3_CONDITIONAL_PUT: 'true' } });
      proxy.plan = () => ({ kind: 'answer', status, code });
      const before = proxy.done.requests;
      const failure = await failureOf(store.put(key, [SMALL], createOnly));
      expect(failure.hint).toContain(hint);
      expect(failure.transient).toBe(false);
      expect(proxy.done.requests - before).toBe(1);
    });
  }
});

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}
