/** Cold storage: what is listed, what is asked, and what is refused. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupName, type Key, partKey } from '../../../src/archive/layout.ts';
import type { StoreError } from '../../../src/errors.ts';
import type { ObjectInfo, Store } from '../../../src/store/store.ts';
import { moveToClass, restoreObject } from '../../harness/s3/cold.ts';
import { AMAZON } from '../../harness/s3/habits.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const NAME = backupName('000000010000000000000003', 40);
const KEYS = Array.from({ length: 5 }, (_, number) => partKey(NAME, number));
const [FIRST, SECOND, THIRD, FOURTH] = KEYS as [Key, Key, Key, Key];

let server: S3Server;
let store: Store;
beforeEach(async () => {
  server = await createS3Server();
  store = openTestStore(server.url);
  for (const key of KEYS)
    await store.put(key, [Buffer.from('part')], {
      ...call,
      createOnly: false,
      contentType: 'application/octet-stream',
    });
  server.forgetLog();
});
afterEach(async () => {
  await store.close();
  await server.close();
});

const move = (key: Key, storageClass: string, tier?: string) =>
  moveToClass(server.bucket, `some/prefix/${key}`, storageClass, tier);
const restore = (key: Key, state: 'under way' | 'done') =>
  restoreObject(server.bucket, `some/prefix/${key}`, state);

async function listed(): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for await (const page of store.list('', call)) objects.push(...page);
  return objects;
}

describe('a listing', () => {
  it('names the class of objects that may have to be brought back, and of no others', async () => {
    move(FIRST, 'GLACIER');
    move(SECOND, 'STANDARD_IA');
    move(THIRD, 'GLACIER_IR');
    move(FOURTH, 'INTELLIGENT_TIERING');
    expect((await listed()).map(({ coldClass }) => coldClass)).toEqual([
      'GLACIER',
      undefined,
      undefined,
      'INTELLIGENT_TIERING',
      undefined,
    ]);
  });
});

describe('whether an object has to be brought back', () => {
  it.each([
    ['GLACIER', undefined, 'GLACIER'],
    ['DEEP_ARCHIVE', undefined, 'DEEP_ARCHIVE'],
    ['INTELLIGENT_TIERING', 'DEEP_ARCHIVE_ACCESS', 'INTELLIGENT_TIERING DEEP_ARCHIVE_ACCESS'],
  ])('%s %s: until the copy is there', async (storageClass, tier, place) => {
    move(SECOND, storageClass, tier);
    expect(await store.cold?.(KEYS, call)).toEqual([{ key: SECOND, place, returning: false }]);
    restore(SECOND, 'under way');
    expect(await store.cold?.(KEYS, call)).toEqual([{ key: SECOND, place, returning: true }]);
    restore(SECOND, 'done');
    expect(await store.cold?.(KEYS, call)).toEqual([]);
  });

  it.each(['STANDARD_IA', 'GLACIER_IR', 'INTELLIGENT_TIERING'])('%s: never', async (storageClass) => {
    move(FIRST, storageClass);
    expect(await store.cold?.(KEYS, call)).toEqual([]);
  });

  it('is one HEAD for each, and one GET when there is one', async () => {
    for (const key of KEYS) move(key, 'GLACIER');
    expect(await store.cold?.(KEYS, call)).toHaveLength(5);
    expect(server.log.map((line) => line.split(' ')[0]).sort()).toEqual(['GET', ...KEYS.map(() => 'HEAD')]);
  });

  it('a store that reads a class of that name like any other has no cold storage', async () => {
    server.habits = { ...AMAZON, coldClasses: [] };
    move(FIRST, 'GLACIER');
    expect(await store.cold?.(KEYS, call)).toEqual([]);
  });

  it('a store that refuses even a HEAD says it too', async () => {
    server.intercept = ({ method, key }) =>
      (method === 'HEAD' || method === 'GET') && key.endsWith(SECOND)
        ? { status: 403, body: [Buffer.from('<Error><Code>InvalidObjectState</Code></Error>')] }
        : undefined;
    expect(await store.cold?.([FIRST, SECOND], call)).toEqual([
      { key: SECOND, place: 'cold storage', returning: false },
    ]);
  });

  it('an object that is gone meanwhile has not', async () => {
    await store.remove([FIRST], call);
    expect(await store.cold?.([FIRST], call)).toEqual([]);
  });
});

it('reading an object in cold storage is refused as such', async () => {
  move(FIRST, 'GLACIER');
  await expect(store.get(FIRST, call)).rejects.toMatchObject({
    message: 'the object is archived in cold storage',
    cold: true,
    transient: false,
  } satisfies Partial<StoreError>);
});
