import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { AMAZON, type Habits } from '../../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'text/plain' } as const;
const TRUSTED = { WALE_S3_CONDITIONAL_PUT: 'true' };

let server: S3Server;
let store: Store;
beforeEach(async () => {
  server = await createS3Server();
});
afterEach(async () => {
  await store.close();
  await server.close();
});

function behave(habits: Partial<Habits>, environment: Record<string, string> = {}): void {
  server.habits = { ...AMAZON, ...habits };
  store = openTestStore(server.url, { environment });
}

/** Method and status of what the store was asked since the last time. */
function asked(): string[] {
  const lines = server.log.map((line) => line.replace(/^(\S+).* (\d+)$/, '$1 $2'));
  server.forgetLog();
  return lines;
}

const put = (name: string, text: string) => store.put(walKey(name), [Buffer.from(text)], createOnly);
const text = async (name: string) => (await contents(await store.get(walKey(name), call))).toString();

describe('a store that is known to honour If-None-Match', () => {
  it('is asked once, whether the object is new or not', async () => {
    behave({}, TRUSTED);
    expect(await put('a', 'first')).toBe('stored');
    expect(await put('a', 'second')).toBe('exists');
    expect(asked()).toEqual(['PUT 200', 'PUT 412']);
    expect(await text('a')).toBe('first');
  });

  it.each([501, 400] as const)(
    'but refuses it with %s: a HEAD first, then the put, from then on',
    async (status) => {
      behave({ conditionalPut: status }, TRUSTED);
      expect(await put('a', 'first')).toBe('stored');
      expect(asked()).toEqual([`PUT ${status}`, 'HEAD 404', 'PUT 200']);
      expect(await put('a', 'second')).toBe('exists');
      expect(await put('b', 'first')).toBe('stored');
      expect(asked()).toEqual(['HEAD 200', 'HEAD 404', 'PUT 200']);
      expect(await text('a')).toBe('first');
    },
  );
});

describe('a store of which nothing is known', () => {
  it('and that ignores If-None-Match never loses an object to a put', async () => {
    behave({ conditionalPut: 'ignored' });
    expect(await put('a', 'first')).toBe('stored');
    expect(await put('a', 'second')).toBe('exists');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200', 'HEAD 200']);
    expect(await text('a')).toBe('first');
  });

  it('and that honours it is asked once, as soon as it has shown that', async () => {
    behave({});
    expect(await put('a', 'first')).toBe('stored');
    // As if somebody else had put the object between our HEAD and our PUT.
    server.intercept = ({ method }) => (method === 'HEAD' ? { status: 404 } : undefined);
    expect(await put('a', 'second')).toBe('exists');
    server.forgetLog();
    expect(await put('b', 'first')).toBe('stored');
    expect(asked()).toEqual(['PUT 200']);
    expect(await text('a')).toBe('first');
  });

  it.each([501, 400] as const)('and that refuses it with %s is asked with a HEAD', async (status) => {
    behave({ conditionalPut: status });
    expect(await put('a', 'first')).toBe('stored');
    expect(await put('a', 'second')).toBe('exists');
    expect(await text('a')).toBe('first');
  });
});

describe('a store that WALE_S3_CONDITIONAL_PUT=false says cannot do it', () => {
  it('is never sent the header', async () => {
    behave({ conditionalPut: 501 }, { WALE_S3_CONDITIONAL_PUT: 'false' });
    expect(await put('a', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200']);
  });

  it('and that hides what is there is not written to', async () => {
    behave({}, { WALE_S3_CONDITIONAL_PUT: 'false' });
    server.policy = [{ Effect: 'Allow', Action: 's3:PutObject', Resource: '*' }];
    await expect(put('a', 'first')).rejects.toMatchObject({
      message: 'the store denies access',
      hint: expect.stringContaining('s3:GetObject'),
    });
    expect(server.bucket.keys()).toEqual([]);
  });
});

describe('of several who put the same key at once', () => {
  it('exactly one stores it', async () => {
    behave({}, TRUSTED);
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => put('a', `writer ${i}`)));
    expect(results.filter((result) => result === 'stored')).toHaveLength(1);
    expect(await text('a')).toBe(`writer ${results.indexOf('stored')}`);
  });
});

describe('a stream in parts', () => {
  async function* parts() {
    for (let i = 0; i < 9; i += 1) yield Buffer.alloc(1024 * 1024, i);
  }

  it('is not even begun when the object is there', async () => {
    behave({}, TRUSTED);
    await put('a', 'first');
    server.forgetLog();
    expect(await store.put(walKey('a'), parts(), createOnly)).toBe('exists');
    expect(asked()).toEqual(['HEAD 200']);
  });
});
