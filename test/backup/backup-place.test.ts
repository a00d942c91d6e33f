import { describe, expect, it } from 'vitest';
import { backupName, type Key, partKey, sentinelKey, versionKey } from '../../src/archive/layout.ts';
import { takePlace } from '../../src/backup/backup-place.ts';
import { checkStoredParts } from '../../src/backup/upload.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { testContext } from '../harness/context.ts';
import { onLossyS3 } from '../harness/s3/lossy.ts';
import { createScratch } from '../harness/scratch.ts';

const name = backupName('000000010000000000000002', 40);
const signal = new AbortController().signal;

function put(store: Store, key: Key, text = 'x') {
  return store.put(key, [Buffer.from(text)], { createOnly: false, contentType: 'text/plain', signal });
}

async function keys(store: Store): Promise<string[]> {
  const all: string[] = [];
  for await (const page of store.list('', { signal })) all.push(...page.map(({ key }) => key));
  return all;
}

async function take(store: Store, isOurs: boolean) {
  const { log, records } = testContext({ store });
  await takePlace(name, { store, versionText: 'PostgreSQL 18.4', isOurs, log, signal });
  return records.filter(({ level }) => level !== 'INFO');
}

describe('the place of a backup', () => {
  it('is taken by the file that names the version', async () => {
    const store = createFileStore(createScratch());
    await take(store, false);
    expect(await keys(store)).toEqual([versionKey(name)]);
  });

  it('is refused where a complete backup is', async () => {
    const store = createFileStore(createScratch());
    await put(store, sentinelKey(name));
    for (const isOurs of [true, false]) {
      await expect(take(store, isOurs)).rejects.toThrow('the archive has this backup already');
    }
  });

  it('is refused where somebody else may be writing the same', async () => {
    const store = createFileStore(createScratch());
    await put(store, versionKey(name));
    await put(store, partKey(name, 0));
    await expect(take(store, false)).rejects.toThrow('another backup of the same name is not finished');
    expect(await keys(store)).toHaveLength(2);
  });

  it('is cleared of what an interrupted backup left, so that no reader mixes their parts', async () => {
    const store = createFileStore(createScratch());
    await put(store, versionKey(name));
    await put(store, partKey(name, 7));
    const other = partKey(backupName('000000010000000000000003', 40), 7);
    await put(store, other);
    expect(await take(store, true)).toMatchObject([{ level: 'WARNING' }]);
    expect(await keys(store)).toEqual([versionKey(name), other]);
  });
});

it('the place of a backup that nobody else can make is its own when the answer of the store got lost', async () => {
  await onLossyS3(async (store) => {
    await take(store, true);
    expect(await keys(store)).toEqual([versionKey(name)]);
  });
});

describe('before the sentinel, the store', () => {
  const prefix = partKey(name, 0).slice(0, -'part_00000000.tar.lzo'.length);
  const expected = new Map<string, number>([
    [partKey(name, 0), 3],
    [partKey(name, 1), 1],
  ]);

  it.each([
    ['with all parts in their sizes is accepted', ['abc', 'x'], undefined],
    ['without one is refused', ['abc'], /"[^"]*part_00000001\.tar\.lzo" is not there/],
    ['with one too short is refused', ['ab', 'x'], /part_00000000\.tar\.lzo" has 2 bytes and should have 3/],
    [
      'with one too many is refused',
      ['abc', 'x', 'y'],
      /part_00000002\.tar\.lzo" has 1 bytes and does not belong/,
    ],
  ])('%s', async (_, contents, detail) => {
    const store = createFileStore(createScratch());
    for (const [number, text] of contents.entries()) await put(store, partKey(name, number), text);
    const check = checkStoredParts(store, prefix, expected, signal);
    if (detail === undefined) await check;
    else await expect(check).rejects.toMatchObject({ detail: expect.stringMatching(detail) });
  });
});
