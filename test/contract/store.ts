/** What every store promises, as tests. A store's own test file calls this with a way to open an empty one. */
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Key, listedKey, walKey } from '../../src/archive/layout.ts';
import type { FoundObject, ObjectInfo, Store } from '../../src/store/store.ts';
import { seededBytes } from '../harness/random.ts';

export interface OpenedStore {
  readonly store: Store;
  close(): Promise<void>;
}

const call = { signal: new AbortController().signal };
const binary = { ...call, contentType: 'application/octet-stream' } as const;
const createOnly = { ...binary, createOnly: true } as const;
const replace = { ...binary, createOnly: false } as const;

export function storeContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`store contract: ${name}`, () => {
    let opened: OpenedStore;
    let store: Store;
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    });
    afterAll(() => opened.close());

    const newKey = (): Key => walKey(randomUUID());

    describe('put and get', () => {
      for (const size of [0, 1, 1000, 1024 * 1024 + 1, 17 * 1024 * 1024]) {
        it(`returns the ${size} bytes that were put`, async () => {
          const key = newKey();
          const bytes = seededBytes(size, size);
          expect(await store.put(key, [bytes], createOnly)).toBe('stored');
          const found = await store.get(key, call);
          expect(found?.size).toBe(size);
          expect(hash(await contents(found))).toBe(hash(bytes));
        });
      }

      it('puts several chunks as one object', async () => {
        const key = newKey();
        const chunks = [seededBytes(10, 1), new Uint8Array(0), seededBytes(300_000, 2)];
        await store.put(key, chunks, createOnly);
        expect(hash(await contents(await store.get(key, call)))).toBe(hash(Buffer.concat(chunks)));
      });

      it('puts a stream of unknown length as one object', async () => {
        const key = newKey();
        const chunks = Array.from({ length: 45 }, (_, i) => seededBytes(256 * 1024 + i, i));
        expect(await store.put(key, streamOf(chunks), createOnly)).toBe('stored');
        expect(hash(await contents(await store.get(key, call)))).toBe(hash(Buffer.concat(chunks)));
      });

      it.each([3, 45])(
        'takes from a stream what is in its memory until the next is asked for: %i chunks',
        async (count) => {
          const key = newKey();
          const chunks = Array.from({ length: count }, (_, i) => seededBytes(256 * 1024 + i, i));
          expect(await store.put(key, reusing(chunks), createOnly)).toBe('stored');
          expect(hash(await contents(await store.get(key, call)))).toBe(hash(Buffer.concat(chunks)));
        },
      );

      it('puts an empty stream as an empty object', async () => {
        const key = newKey();
        await store.put(key, streamOf([]), createOnly);
        expect((await store.head(key, call))?.size).toBe(0);
      });

      it('answers absence with undefined, for get and head alike', async () => {
        expect(await store.get(newKey(), call)).toBeUndefined();
        expect(await store.head(newKey(), call)).toBeUndefined();
      });

      it('reports size and a recent time in head', async () => {
        const key = newKey();
        await store.put(key, [seededBytes(1234, 5)], createOnly);
        const info = await store.head(key, call);
        expect(info?.key).toBe(key);
        expect(info?.size).toBe(1234);
        expect(Math.abs(Date.now() - (info?.modified.getTime() ?? 0))).toBeLessThan(60_000);
      });

      it('lets a reader leave early without harm to the next one', async () => {
        const key = newKey();
        const bytes = seededBytes(5 * 1024 * 1024, 9);
        await store.put(key, [bytes], createOnly);
        for await (const _ of (await store.get(key, call))?.body ?? []) break;
        expect(hash(await contents(await store.get(key, call)))).toBe(hash(bytes));
      });

      it('keeps keys with every character that a file in pg_wal may have', async () => {
        const key = walKey('strange name+%2F (ä) & =?#;:@,$!~*\'"');
        await store.put(key, [seededBytes(10, 3)], createOnly);
        expect(await contents(await store.get(key, call))).toEqual(Buffer.from(seededBytes(10, 3)));
        expect((await listed(store, 'wal_005/strange')).map((info) => info.key)).toEqual([key]);
      });
    });

    describe('create-only', () => {
      it('never replaces what is there', async () => {
        const key = newKey();
        await store.put(key, [Buffer.from('first')], createOnly);
        expect(await store.put(key, [Buffer.from('second')], createOnly)).toBe('exists');
        expect(await store.put(key, streamOf([Buffer.from('third')]), createOnly)).toBe('exists');
        expect((await contents(await store.get(key, call))).toString()).toBe('first');
      });

      it('replaces when it is not asked for', async () => {
        const key = newKey();
        await store.put(key, [Buffer.from('first')], replace);
        expect(await store.put(key, [Buffer.from('second')], replace)).toBe('stored');
        expect((await contents(await store.get(key, call))).toString()).toBe('second');
      });
    });

    describe('what fails leaves nothing', () => {
      it('a stream that breaks off in the middle', async () => {
        const key = newKey();
        await expect(store.put(key, breakingStream(), createOnly)).rejects.toThrow('the source broke');
        expect(await store.head(key, call)).toBeUndefined();
        expect(await leftovers(store)).toEqual([]);
      });

      it('a put aborted in the middle rejects with the reason', async () => {
        const key = newKey();
        const controller = new AbortController();
        const put = store.put(key, abortingStream(controller), { ...createOnly, signal: controller.signal });
        await expect(put).rejects.toThrow('stopped by the test');
        expect(await store.head(key, call)).toBeUndefined();
        expect(await leftovers(store)).toEqual([]);
      });

      it('a call whose signal is aborted already does nothing', async () => {
        const key = newKey();
        const signal = AbortSignal.abort(new Error('stopped by the test'));
        await expect(store.put(key, [Buffer.from('x')], { ...createOnly, signal })).rejects.toThrow(
          'stopped',
        );
        await expect(store.get(key, { signal })).rejects.toThrow('stopped');
        expect(await store.head(key, call)).toBeUndefined();
      });
    });

    describe('list', () => {
      it('gives all keys under a prefix, ascending, in pages of at most 1000', async () => {
        const names = Array.from({ length: 1203 }, (_, i) =>
          listedKey(`list-test/${String(i).padStart(4, '0')}.x`),
        );
        await inBatches(names, 50, (key) => store.put(key, [Buffer.from(key)], replace));
        const pages: number[] = [];
        const keys: string[] = [];
        for await (const page of store.list('list-test/', call)) {
          pages.push(page.length);
          keys.push(...page.map((info) => info.key));
        }
        expect(keys).toEqual(names);
        expect(Math.max(...pages)).toBeLessThanOrEqual(1000);
        expect((await listed(store, 'list-test/00')).length).toBe(100);
        expect(await store.remove(names.slice(0, 1000), call)).toEqual([]);
        expect(await store.remove(names.slice(1000), call)).toEqual([]);
        expect(await listed(store, 'list-test/')).toEqual([]);
      });

      it('orders keys by their bytes, across folders', async () => {
        const keys = ['order/a-b', 'order/a.x', 'order/a/b', 'order/a0', 'order/ä'].map(listedKey);
        for (const key of keys) await store.put(key, [Buffer.from('x')], replace);
        expect((await listed(store, 'order/')).map((info) => info.key)).toEqual(keys);
      });

      it('leaves out the folders that are to be skipped, and nothing else', async () => {
        const names = [
          'a',
          'b-c',
          'b.c',
          'b/c',
          'b/d/e',
          'b/~',
          'b/\u00e4',
          'b0',
          'c/b/d',
          'c/d',
          'd/b/c',
          'e',
        ];
        const keys = names.map((name) => listedKey(`skip/${name}`));
        for (const key of keys) await store.put(key, [Buffer.from('x')], replace);
        // A store that pages goes on behind a folder when a page ends in it.
        const many = Array.from({ length: 1100 }, (_, i) => listedKey(`skip/b/m${i}`));
        await inBatches(many, 50, (key) => store.put(key, [Buffer.from('x')], replace));
        const asked: string[] = [];
        const skip = (folder: string) => {
          asked.push(folder);
          return folder === 'skip/b/' || folder === 'skip/c/b/';
        };
        const found: string[] = [];
        for await (const page of store.list('skip/', { ...call, skip }))
          found.push(...page.map(({ key }) => key.slice('skip/'.length)));
        expect(found).toEqual(['a', 'b-c', 'b.c', 'b0', 'c/d', 'd/b/c', 'e']);
        expect(new Set(asked)).toEqual(new Set(['skip/b/', 'skip/c/', 'skip/c/b/', 'skip/d/', 'skip/d/b/']));
      });

      it('gives nothing for a prefix that nothing has', async () => {
        expect(await listed(store, `${randomUUID()}/`)).toEqual([]);
      });
    });

    describe('remove', () => {
      it('counts an absent key as removed', async () => {
        const key = newKey();
        await store.put(key, [Buffer.from('x')], createOnly);
        expect(await store.remove([key, newKey()], call)).toEqual([]);
        expect(await store.head(key, call)).toBeUndefined();
      });

      it('takes keys with characters that XML has no way to write, among others', async () => {
        const keys = ['\u0001', '\u001f\uffff', 'plain', '\r\n\t'].map((text) => walKey(`odd ${text}`));
        for (const key of keys) await store.put(key, [Buffer.from('x')], replace);
        expect((await listed(store, 'wal_005/odd')).map(({ key }) => key).sort()).toEqual([...keys].sort());
        expect(await store.remove(keys, call)).toEqual([]);
        expect(await listed(store, 'wal_005/odd')).toEqual([]);
      });
    });
  });
}

export async function contents(found: FoundObject | undefined): Promise<Buffer> {
  if (found === undefined) throw new Error('the object is not there');
  const chunks: Uint8Array[] = [];
  for await (const chunk of found.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function listed(store: Store, prefix: string): Promise<ObjectInfo[]> {
  const all: ObjectInfo[] = [];
  for await (const page of store.list(prefix, call)) all.push(...page);
  return all;
}

async function leftovers(store: Store): Promise<string[]> {
  const all: string[] = [];
  for await (const page of store.leftovers('', call)) all.push(...page.map((leftover) => leftover.key));
  return all;
}

/** All chunks come in the same memory. */
async function* reusing(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(Math.max(...chunks.map(({ length }) => length)));
  for (const chunk of chunks) {
    memory.set(chunk);
    yield memory.subarray(0, chunk.length);
    memory.fill(0xff);
  }
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function* breakingStream(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 30; i += 1) yield seededBytes(512 * 1024, i);
  throw new Error('the source broke');
}

async function* abortingStream(controller: AbortController): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 30; i += 1) yield seededBytes(512 * 1024, i);
  controller.abort(new Error('stopped by the test'));
  yield seededBytes(512 * 1024, 99);
}

async function inBatches<T>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += size) await Promise.all(items.slice(i, i + size).map(work));
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
