import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { AMAZON, type Habits } from '../../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';

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

async function* parts() {
  for (let i = 0; i < 9; i += 1) yield Buffer.alloc(1024 * 1024, i);
}

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
  it('and that honours If-None-Match shows it once: nothing is there, a put, the same put again; then it is asked once', async () => {
    behave({});
    expect(await put('a', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200', 'PUT 412']);
    expect(await put('b', 'first')).toBe('stored');
    expect(await put('a', 'second')).toBe('exists');
    expect(asked()).toEqual(['PUT 200', 'PUT 412']);
    expect(await text('a')).toBe('first');
  });

  it('and that ignores it never loses an object: what is put twice to find out are the same bytes', async () => {
    behave({ conditionalPut: 'ignored' });
    const bodies: string[] = [];
    server.intercept = ({ method, key, body }) => {
      if (method === 'PUT') bodies.push(`${key.slice(-5)} ${Buffer.concat(body)}`);
      return undefined;
    };
    expect(await put('a', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200', 'PUT 200']);
    expect(await put('a', 'second')).toBe('exists');
    expect(await put('b', 'third')).toBe('stored');
    expect(asked()).toEqual(['HEAD 200', 'HEAD 404', 'PUT 200']);
    expect(bodies).toEqual(['a.lzo first', 'a.lzo first', 'b.lzo third']);
    expect(await text('a')).toBe('first');
  });

  it.each([501, 400] as const)(
    'and that refuses it with %s is not sent it again: a HEAD, then the put',
    async (status) => {
      behave({ conditionalPut: status });
      expect(await put('a', 'first')).toBe('stored');
      expect(asked()).toEqual(['HEAD 404', `PUT ${status}`, 'PUT 200']);
      expect(await put('a', 'second')).toBe('exists');
      expect(await put('b', 'first')).toBe('stored');
      expect(asked()).toEqual(['HEAD 200', 'HEAD 404', 'PUT 200']);
      expect(await text('a')).toBe('first');
    },
  );

  it('shows nothing by an object that is there already', async () => {
    behave({ conditionalPut: 'ignored' });
    await put('a', 'first');
    await store.close();
    store = openTestStore(server.url);
    server.forgetLog();
    expect(await put('a', 'second')).toBe('exists');
    expect(await put('b', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 200', 'HEAD 404', 'PUT 200', 'PUT 200']);
  });

  it('is not believed to honour it any more once it was seen to ignore it', async () => {
    behave({ conditionalPut: 'ignored' });
    await put('a', 'first');
    // As if the servers behind the address were not alike, and somebody else put the object after our HEAD.
    server.habits = AMAZON;
    server.intercept = ({ method }) => (method === 'HEAD' ? { status: 404 } : undefined);
    expect(await put('a', 'second')).toBe('exists');
    server.forgetLog();
    await put('b', 'first');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200']);
  });

  it('is found out by one of several puts at once; the others ask with a HEAD', async () => {
    behave({});
    const names = Array.from({ length: 8 }, (_, i) => `n${i}`);
    expect(await Promise.all(names.map((name) => put(name, name)))).toEqual(names.map(() => 'stored'));
    expect(asked().sort()).toEqual([
      ...names.map(() => 'HEAD 404'),
      ...names.map(() => 'PUT 200'),
      'PUT 412',
    ]);
    expect(await Promise.all(names.map(text))).toEqual(names);
  });

  it.each([
    { status: 503 },
    { status: 403, body: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')] },
  ])('is asked with a HEAD for as long as it does not show it: %s', async (answer) => {
    behave({});
    let puts = 0;
    server.intercept = ({ method }) => {
      puts += method === 'PUT' ? 1 : 0;
      return puts === 2 && method === 'PUT' ? answer : undefined;
    };
    expect(await put('a', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200', `PUT ${answer.status}`]);
    expect(await put('a', 'second')).toBe('exists');
    expect(await put('b', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 200', 'HEAD 404', 'PUT 200']);
  });

  it('and of whose objects nothing can be seen is not written to: the object might be there', async () => {
    behave({ conditionalPut: 'ignored' });
    await put('a', 'first');
    await store.close();
    store = openTestStore(server.url);
    server.policy = [{ Effect: 'Allow', Action: 's3:PutObject', Resource: '*' }];
    await expect(put('a', 'second')).rejects.toMatchObject({ message: 'the store denies access' });
    await expect(store.put(walKey('a'), parts(), createOnly)).rejects.toThrow('the store denies access');
    server.policy = undefined;
    expect(await text('a')).toBe('first');
  });
});

describe('what was found out is remembered', () => {
  const notesFolder = () => {
    const folder = createScratch();
    return join(folder, '.wal-e');
  };
  /** As another process would. */
  const reopen = async (folder: string, environment: Record<string, string> = {}) => {
    await store?.close();
    store = openTestStore(server.url, { notesFolder: folder, environment });
    server.forgetLog();
  };

  it.each([
    ['honoured', ['PUT 200']],
    ['ignored', ['HEAD 404', 'PUT 200']],
    [501, ['HEAD 404', 'PUT 200']],
    [400, ['HEAD 404', 'PUT 200']],
  ] as const)('by the next process, of a store where it is %s', async (conditionalPut, requests) => {
    server.habits = { ...AMAZON, conditionalPut };
    const folder = notesFolder();
    await reopen(folder);
    await put('a', 'first');
    await reopen(folder);
    expect(await put('b', 'first')).toBe('stored');
    expect(asked()).toEqual(requests);
    expect(await put('a', 'second')).toBe('exists');
    expect(await text('a')).toBe('first');
  });

  it('and corrected when the store refuses what it honoured', async () => {
    const folder = notesFolder();
    await reopen(folder);
    await put('a', 'first');
    server.habits = { ...AMAZON, conditionalPut: 501 };
    await reopen(folder);
    expect(await put('b', 'first')).toBe('stored');
    expect(asked()).toEqual(['PUT 501', 'HEAD 404', 'PUT 200']);
    await reopen(folder);
    expect(await put('c', 'first')).toBe('stored');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200']);
  });

  it('but not a 400 without a word, which may be about anything', async () => {
    server.habits = { ...AMAZON, conditionalPut: 400, errorCodes: false };
    const folder = notesFolder();
    await reopen(folder);
    expect(await put('a', 'first')).toBe('stored');
    expect(existsSync(folder)).toBe(false);
  });

  it('but not over what WALE_S3_CONDITIONAL_PUT says, and nothing is found out then', async () => {
    const folder = notesFolder();
    await reopen(folder);
    await put('a', 'first');
    await reopen(folder, { WALE_S3_CONDITIONAL_PUT: 'false' });
    await put('b', 'first');
    expect(asked()).toEqual(['HEAD 404', 'PUT 200']);
    const untouched = notesFolder();
    await reopen(untouched, TRUSTED);
    await put('c', 'first');
    expect(asked()).toEqual(['PUT 200']);
    expect(existsSync(untouched)).toBe(false);
  });

  it('in one place for each store: another bucket, or another address, is asked', async () => {
    const folder = notesFolder();
    await reopen(folder);
    await put('a', 'first');
    const other = await createS3Server({ habits: { ...AMAZON, conditionalPut: 'ignored' } });
    await store.close();
    store = openTestStore(other.url, { notesFolder: folder });
    await put('a', 'first');
    expect(other.log.map((line) => line.split(' ')[0])).toEqual(['HEAD', 'PUT', 'PUT']);
    await reopen(folder);
    await put('b', 'first');
    expect(asked()).toEqual(['PUT 200']);
    await other.close();
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
  it('is not even begun when the object is there', async () => {
    behave({}, TRUSTED);
    await put('a', 'first');
    server.forgetLog();
    expect(await store.put(walKey('a'), parts(), createOnly)).toBe('exists');
    expect(asked()).toEqual(['HEAD 200']);
  });
});
