import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  findBackup,
  type KnownBackup,
  type ListedBackup,
  listBackups,
  readSentinels,
} from '../../src/archive/catalog.ts';
import {
  backupName,
  type Key,
  listedKey,
  partKey,
  sentinelKey,
  versionKey,
} from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { StoreError } from '../../src/errors.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';

let directory: string;
let store: Store;
const call = { signal: new AbortController().signal };
const first = backupName('00000001000000000000000B', 40);
const second = backupName('00000001000000000000000C', 40);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wale-catalog-'));
  store = createFileStore(directory);
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const put = (key: Key, text: string) =>
  store.put(key, [Buffer.from(text)], { ...call, createOnly: false, contentType: 'application/json' });

const sentinelText = writeSentinel({
  stopSegment: '00000001000000000000000B',
  stopOffset: '00000256',
  expandedSizeBytes: 1,
  spec: undefined,
  own: undefined,
});

async function putBackup(name: typeof first, parts: number, text: string | undefined): Promise<void> {
  await put(versionKey(name), 'PostgreSQL 14');
  for (let number = 0; number < parts; number++) await put(partKey(name, number), `part ${number}`);
  if (text !== undefined) await put(sentinelKey(name), text);
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('the catalog', () => {
  it('groups the objects of each backup and tells those without a sentinel', async () => {
    await putBackup(first, 12, sentinelText);
    await putBackup(second, 1, undefined);
    const backups = await collect(listBackups(store, call));
    expect(backups.map((backup) => backup.name)).toEqual([first, second]);
    expect(backups[0]?.parts.map((part) => part.number)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(backups[0]?.parts[3]?.size).toBe(6);
    expect(backups[0]?.sentinel?.modified).toBeInstanceOf(Date);
    expect(backups[1]?.sentinel).toBeUndefined();
    expect(backups[1]?.version?.size).toBe(13);
  });

  it('hands over keys that belong to no backup, and goes on', async () => {
    await putBackup(first, 1, sentinelText);
    await put(listedKey(`basebackups_005/${first}/files_metadata.json`), '{}');
    await put(listedKey('basebackups_005/base_000000010000000000000001_backup_stop_sentinel.json'), '{}');
    const foreign: string[] = [];
    const backups = await collect(listBackups(store, call, (object) => foreign.push(object.key)));
    expect(backups).toHaveLength(1);
    expect(foreign).toEqual([
      'basebackups_005/base_000000010000000000000001_backup_stop_sentinel.json',
      `basebackups_005/${first}/files_metadata.json`,
    ]);
  });

  it('finds one backup by name, also without a sentinel, and nothing where there is nothing', async () => {
    await putBackup(first, 2, sentinelText);
    await putBackup(second, 0, undefined);
    expect((await findBackup(store, first, call))?.reading.kind).toBe('read');
    expect((await findBackup(store, second, call))?.reading.kind).toBe('absent');
    expect(await findBackup(store, backupName('00000001000000000000000D', 40), call)).toBeUndefined();
  });

  it('shows an unreadable sentinel as such and reads the others', async () => {
    await putBackup(first, 1, '{');
    await putBackup(second, 1, sentinelText);
    const known = await collect(readSentinels(store, listBackups(store, call), { width: 4, ...call }));
    expect(known.map((backup) => backup.reading.kind)).toEqual(['unreadable', 'read']);
  });
});

function listed(count: number): AsyncIterable<ListedBackup> {
  const backups = Array.from({ length: count }, (_, i) => {
    const name = backupName(`0000000100000000${i.toString(16).toUpperCase().padStart(8, '0')}`, 40);
    const sentinel = { key: sentinelKey(name), size: sentinelText.length, modified: new Date(0) };
    return { name, sentinel, version: undefined, parts: [] };
  });
  return (async function* () {
    yield* backups;
  })();
}

/** Answers get by `answer`; no other call is expected. */
function sentinelStore(answer: (key: Key) => Promise<string>): Store {
  return {
    ...store,
    get: async (key) => {
      const text = await answer(key);
      const body = (async function* () {
        yield Buffer.from(text);
      })();
      return { key, size: text.length, modified: new Date(0), body };
    },
  };
}

describe('reading sentinels', () => {
  it('keeps the order and never has more than the given number under way', async () => {
    let running = 0;
    let most = 0;
    const slow = sentinelStore(async (key) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, key.includes('7_') ? 8 : 1));
      running -= 1;
      return sentinelText;
    });
    const known: KnownBackup[] = await collect(readSentinels(slow, listed(50), { width: 8, ...call }));
    const names = (await collect(listed(50))).map((backup) => backup.name);
    expect(known.map((backup) => backup.name)).toEqual(names);
    expect(most).toBe(8);
  });

  it.each([
    ['at once', { transient: true }],
    ['after the last attempt', { transient: false, unavailable: true }],
  ])('fails when the store cannot be asked, %s, and leaves nothing under way', async (_, parts) => {
    let running = 0;
    const failing = sentinelStore(async (key) => {
      running += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
      if (key.includes('5_')) throw new StoreError('no route to the store', parts);
      return sentinelText;
    });
    const reading = collect(readSentinels(failing, listed(50), { width: 8, ...call }));
    await expect(reading).rejects.toThrow('no route');
    expect(running).toBe(0);
  });

  it('takes a refusal of one object as unreadable', async () => {
    const refusing = sentinelStore(async () => {
      throw new StoreError('access denied', { transient: false });
    });
    const known = await collect(readSentinels(refusing, listed(2), { width: 8, ...call }));
    expect(known.map((backup) => backup.reading.kind)).toEqual(['unreadable', 'unreadable']);
  });
});
