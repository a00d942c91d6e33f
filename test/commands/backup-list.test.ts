import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type BackupName,
  backupName,
  listedKey,
  partKey,
  sentinelKey,
  versionKey,
} from '../../src/archive/layout.ts';
import { type OwnFacts, type Sentinel, writeSentinel } from '../../src/archive/sentinel.ts';
import { type BackupListArguments, run } from '../../src/commands/backup-list.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { FoundObject, ObjectInfo, Store } from '../../src/store/store.ts';
import { coldStore } from '../harness/cold-store.ts';
import { testContext } from '../harness/context.ts';
import { retained } from '../harness/retained.ts';
import { createScratch } from '../harness/scratch.ts';

const call = { signal: new AbortController().signal };
const HEADER =
  'name\tlast_modified\texpanded_size_bytes\twal_segment_backup_start\twal_segment_offset_backup_start\twal_segment_backup_stop\twal_segment_offset_backup_stop';
const ORIGINALS: Sentinel = {
  stopSegment: '000000010000000000000003',
  stopOffset: '00000256',
  expandedSizeBytes: 9_833_978,
  spec: { basePrefix: '/data/', tablespaces: new Map([['16384', { loc: '/ts/', link: 'pg_tblspc/16384' }]]) },
  own: undefined,
};

let scratch: string;
let store: Store;
beforeEach(() => {
  scratch = createScratch();
  store = createFileStore(join(scratch, 'archive'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function nameOf(number: number): BackupName {
  return backupName(`0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`, 40);
}

async function put(key: ReturnType<typeof partKey>, text: string): Promise<void> {
  await store.put(key, [Buffer.from(text)], { ...call, createOnly: false, contentType: 'text/plain' });
}

async function addBackup(name: BackupName, sentinel: string | undefined): Promise<void> {
  await put(versionKey(name), 'PostgreSQL 14.23 on x86_64-pc-linux-gnu, compiled by gcc');
  await put(partKey(name, 0), 'x'.repeat(1500));
  if (sentinel !== undefined) await put(sentinelKey(name), sentinel);
}

function ownFacts(finishTime: string): OwnFacts {
  return {
    formatVersion: 1,
    toolVersion: '2.0.0',
    systemIdentifier: '7300000000000000001',
    postgresVersion: 180004,
    segmentBytes: 16_777_216,
    startLsn: '0/3000028',
    stopLsn: '0/3000100',
    timeline: 1,
    startTime: '2026-11-21T07:00:00Z',
    finishTime,
    fromStandby: false,
    offline: false,
    dataChecksums: true,
    parts: [{ number: 0, size: 1500, sha256: '0'.repeat(64), members: 3, expandedSize: 9000 }],
    damagedPages: [],
    damagedPageCount: 2,
    hostname: 'db1',
    withConfig: false,
  };
}

async function list(args: Partial<BackupListArguments> = {}, from: Store = store): Promise<string> {
  const context = testContext({ store: from });
  const none = { query: undefined, detail: false, json: false, pretty: false, all: false };
  expect(await run({ ...none, ...args }, context)).toBe(0);
  return context.printed.join('');
}

describe("the default form is the original's", () => {
  it('has its header, its columns, tabs and CRLF; what needs the sentinels is empty', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    const [header, line, end] = (await list()).split('\r\n');
    expect(header).toBe(HEADER);
    expect(line).toMatch(
      /^base_000000010000000000000003_00000040\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t\t000000010000000000000003\t00000040\t\t$/,
    );
    expect(end).toBe('');
  });

  it('fills all columns with --detail', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    expect((await list({ detail: true })).split('\r\n')[1]?.split('\t').slice(2)).toEqual([
      '9833978',
      '000000010000000000000003',
      '00000040',
      '000000010000000000000003',
      '00000256',
    ]);
  });

  it('is the header alone for an empty archive and for a name that is not there', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    expect(await list({ query: nameOf(4) })).toBe(`${HEADER}\r\n`);
    expect(await list({}, createFileStore(scratch))).toBe(`${HEADER}\r\n`);
  });

  it('prints the header before it fails on a query that is neither a name nor LATEST', async () => {
    const context = testContext({ store });
    const args = { query: 'foo', detail: false, json: false, pretty: false, all: false };
    await expect(run(args, context)).rejects.toMatchObject({
      message: 'invalid backup query submitted',
      detail: 'The submitted query operator was "foo."',
      exitStatus: 1,
    });
    expect(context.printed.join('')).toBe(`${HEADER}\r\n`);
  });

  it('hides backups without a sentinel unless --all is given, which adds a column', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    await addBackup(nameOf(4), undefined);
    expect((await list()).split('\r\n')).toHaveLength(3);
    const lines = (await list({ all: true })).split('\r\n').map((line) => line.split('\t').at(-1));
    expect(lines).toEqual(['state', 'complete', 'incomplete', '']);
  });
});

describe('LATEST', () => {
  it('is the one that was finished last by its own account, whatever the order of names and dates', async () => {
    await addBackup(nameOf(9), writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T08:00:00Z') }));
    await addBackup(nameOf(3), writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T09:00:00Z') }));
    expect(await list({ query: 'LATEST' })).toContain(`\r\n${nameOf(3)}\t`);
    expect(await list({ query: 'LATEST' })).not.toContain(nameOf(9));
  });
});

describe('--json', () => {
  it('says everything, with the same names whoever made the backup', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    await addBackup(nameOf(4), writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T07:01:30Z') }));
    const [theirs, ours] = JSON.parse(await list({ json: true }));
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    expect(theirs).toMatchObject({
      state: 'complete',
      postgres_version: '14.23',
      finish_time: null,
      stored_size_bytes: 1500,
    });
    expect(ours).toMatchObject({
      duration_seconds: 90,
      timeline: 1,
      stop_lsn: '0/3000100',
      postgres_version: '18.4',
      system_identifier: '7300000000000000001',
      damaged_pages: 2,
      tablespaces: [{ oid: '16384', location: '/ts/' }],
    });
  });

  it('has the names that its page documents, and no others', async () => {
    await addBackup(nameOf(3), writeSentinel(ORIGINALS));
    const [backup] = JSON.parse(await list({ json: true }));
    const page = readFileSync(new URL('../../docs/backup-list.md', import.meta.url), 'utf8');
    const cells = [...page.matchAll(/^\| (`[a-z_`, ]+) \|/gm)].map(([, cell = '']) => cell);
    const documented = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name));
    expect(documented.sort()).toEqual(Object.keys(backup).sort());
  });

  it('is an empty array for an empty archive', async () => {
    expect(JSON.parse(await list({ json: true }, createFileStore(scratch)))).toEqual([]);
  });
});

describe('--pretty', () => {
  it('is a table in which every line fits its header', async () => {
    await addBackup(nameOf(4), writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T07:01:30Z') }));
    const [header = '', line = ''] = (await list({ pretty: true })).split('\n');
    for (const [title, cell] of [
      ['FINISHED (UTC)', '2026-11-21 07:01:30'],
      ['POSTGRESQL', '18.4'],
      ['STATE', 'complete, 2 damaged pages'],
    ] as const)
      expect(line.slice(header.indexOf(title))).toMatch(new RegExp(`^${cell}`));
    expect(line).toContain('1 min 30 s');
  });
});

describe('a backup whose parts are not as its sentinel states them', () => {
  const OURS = writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T07:01:30Z') });

  it.each([
    ['is missing', nameOf(3), OURS, (name: BackupName) => store.remove([partKey(name, 0)], call)],
    ['is not of its size', nameOf(4), OURS, (name: BackupName) => put(partKey(name, 0), 'x')],
    [
      'is missing',
      nameOf(5),
      writeSentinel(ORIGINALS),
      (name: BackupName) => store.remove([partKey(name, 0)], call),
    ],
  ])('is not called complete: part 0 %s', async (what, name, sentinel, spoil) => {
    await addBackup(name, sentinel);
    await addBackup(nameOf(9), OURS);
    await spoil(name);
    expect(JSON.parse(await list({ json: true }))).toMatchObject([
      { state: 'damaged', error: `part 0 ${what}` },
      { state: 'complete', error: null },
    ]);
    expect(await list({ pretty: true })).toContain(`damaged: part 0 ${what}`);
  });

  it('is listed as before in the original form, and warned of where sentinels are read', async () => {
    await addBackup(nameOf(3), OURS);
    const args = { query: undefined, detail: true, json: false, pretty: false, all: false };
    const sound = await list({ detail: true });
    await store.remove([partKey(nameOf(3), 0)], call);
    const context = testContext({ store });
    await run(args, context);
    expect(context.printed.join('')).toBe(sound);
    expect(context.records).toMatchObject([
      {
        level: 'WARNING',
        message: 'a backup cannot be restored',
        detail: `${nameOf(3)}: part 0 is missing.`,
      },
    ]);
    const lazy = testContext({ store });
    await run({ ...args, detail: false }, lazy);
    expect(lazy.records).toEqual([]);
  });
});

it('tells parts that are in cold storage, where there is a place for it', async () => {
  await addBackup(nameOf(3), writeSentinel(ORIGINALS));
  const cold = coldStore(store, (key) => key.includes('tar_partitions'));
  expect(JSON.parse(await list({ json: true }, cold))).toMatchObject([
    { state: 'complete', cold_parts: { GLACIER: 1 } },
  ]);
  expect(await list({ pretty: true }, cold)).toMatch(/complete, 1 part in GLACIER\n/);
  expect(await list({ detail: true }, cold)).toBe(await list({ detail: true }));
});

it('shows a sentinel that cannot be understood as such, and goes on', async () => {
  await addBackup(nameOf(3), '{"wal_segment');
  await addBackup(nameOf(4), writeSentinel(ORIGINALS));
  const shown = JSON.parse(await list({ json: true }));
  expect(shown.map(({ state }: { state: string }) => state)).toEqual(['unreadable', 'complete']);
  expect(shown[0].error).toMatch(/JSON/i);
  expect((await list({ detail: true })).split('\r\n')).toHaveLength(4);
});

it('lists 10,000 backups with one request per 1000 keys, details side by side, in memory that does not grow', async () => {
  const names = Array.from({ length: 10_000 }, (_, i) => nameOf(i + 1));
  const sentinel = Buffer.from(writeSentinel({ ...ORIGINALS, own: ownFacts('2026-11-21T07:01:30Z') }));
  const requests = { list: 0, get: 0, atOnce: 0, most: 0 };
  const big: Store = {
    ...store,
    async *list(prefix) {
      let page: ObjectInfo[] = [];
      for (const name of names) {
        for (const key of [versionKey(name), partKey(name, 0), sentinelKey(name)].sort()) {
          if (!key.startsWith(prefix)) continue;
          const size = key.includes('tar_partitions') ? 1500 : 10;
          page.push({ key: listedKey(key), size, modified: new Date(0) });
          if (page.length < 1000) continue;
          requests.list += 1;
          yield page;
          page = [];
        }
      }
      if (page.length > 0) yield page;
    },
    async get(key) {
      requests.get += 1;
      requests.atOnce += 1;
      requests.most = Math.max(requests.most, requests.atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      requests.atOnce -= 1;
      const found: FoundObject = { key, size: sentinel.length, modified: new Date(0), body: only(sentinel) };
      return found;
    },
  };
  let bytes = 0;
  const context = testContext({ store: big });
  const args = { query: undefined, detail: true, json: false, pretty: false, all: false };
  const before = retained().heapUsed;
  let most = 0;
  let prints = 0;
  await run(args, {
    ...context,
    print: async (text) => {
      bytes += text.length;
      prints += 1;
      if (prints % 10 === 0) most = Math.max(most, retained().heapUsed - before);
    },
  });
  expect(bytes).toBeGreaterThan(1_000_000);
  expect(requests).toMatchObject({ list: 30, get: 10_000 });
  expect(requests.most).toBeGreaterThan(4);
  expect(requests.most).toBeLessThanOrEqual(16);
  expect(most).toBeLessThan(20e6);
});

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
