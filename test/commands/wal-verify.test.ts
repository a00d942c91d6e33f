import { createHash } from 'node:crypto';
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backupName, partKey, sentinelKey, walKey } from '../../src/archive/layout.ts';
import { parseSentinel, writeSentinel } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { run, type VerifyArguments } from '../../src/commands/wal-verify.ts';
import { StoreError } from '../../src/errors.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import type { VerifyReport } from '../../src/verification/report.ts';
import { isInPart } from '../../src/verification/request.ts';
import { backupOf, segmentAt } from '../archive/backups.ts';
import { coldStore } from '../harness/cold-store.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { createScratch } from '../harness/scratch.ts';

const ARGUMENTS: VerifyArguments = { json: true, pretty: false, read: false, readPart: undefined };
const LONG_AGO = new Date('2026-01-01T00:00:00Z');

async function verify(store: Store, args: Partial<VerifyArguments> = {}) {
  const context = testContext({ store });
  const status = await run({ ...ARGUMENTS, ...args }, context);
  const out = context.printed.join('');
  return { status, out, report: out.startsWith('{') ? (JSON.parse(out) as VerifyReport) : undefined };
}

function golden(archive = 'seg1') {
  const folder = createScratch();
  cpSync(fileURLToPath(new URL(`../../fixtures/golden/${archive}/archive`, import.meta.url)), folder, {
    recursive: true,
  });
  // What has just been archived may have a gap before it.
  for (const file of readdirSync(join(folder, 'wal_005')))
    utimesSync(join(folder, 'wal_005', file), LONG_AGO, LONG_AGO);
  return { folder, store: createFileStore(folder) };
}

function lzop(plain: Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  const blocks = [];
  for (let at = 0; at < plain.length; at += 262_144)
    blocks.push(encoder.block(plain.subarray(at, at + 262_144)));
  return Buffer.concat([encoder.header(), ...blocks, encoder.end()]);
}

/** One byte in the middle of an object is another one. */
function damage(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from([0xa5, 0x5a, 0xa5]), 0, 3, 3000);
  closeSync(file);
}

/** Listed, not read: sizes as of real segments. */
function archive(
  ...runs: readonly (readonly [timeline: number, first: number, last: number])[]
): MemoryStore {
  const store = new MemoryStore();
  for (const [timeline, first, last] of runs)
    for (let index = first; index <= last; index += 1)
      store.set(walKey(segmentAt(timeline, index)), LONG_AGO, { size: 100_000 });
  return store;
}

function addBackup(store: MemoryStore, sketch: Parameters<typeof backupOf>[0]): void {
  const backup = backupOf(sketch);
  for (const part of backup.parts) store.set(part.key, LONG_AGO, { size: part.size });
  if (backup.reading.kind === 'read')
    store.set(sentinelKey(backup.name), LONG_AGO, {
      bytes: Buffer.from(writeSentinel(backup.reading.sentinel)),
    });
}

describe('wal-verify', () => {
  it('does not miss the segment after which the original named a backup of a stopped server', async () => {
    const store = archive([1, 3, 40]);
    addBackup(store, { start: 0x50, offset: 50, stopOffset: '00000050' });
    expect(await verify(store)).toMatchObject({ status: 0, report: { backups: [{ state: 'ok' }] } });
    store.objects.delete(walKey(segmentAt(1, 20)));
    expect(await verify(store)).toMatchObject({ status: 1, report: { backups: [{ state: 'gap' }] } });
    store.objects.delete(walKey(segmentAt(1, 5)));
    expect(await verify(store)).toMatchObject({ status: 1, report: { backups: [{ state: 'broken' }] } });
  });

  it('finds a whole archive whole: timelines, the switch between them, and how far the backup restores', async () => {
    const { status, report } = await verify(golden().store);
    expect(status).toBe(0);
    expect(report).toMatchObject({
      ok: true,
      segmentBytes: 1024 * 1024,
      segmentBytesSource: 'contents',
      timelines: [
        { timeline: 1, parent: null, segments: 4, gaps: [] },
        { timeline: 2, parent: 1, branchedAt: '0/E00000', historyKnown: true, segments: 1, gaps: [] },
      ],
      backups: [{ state: 'ok', followsTimeline: 2, restorableTo: '00000002000000000000000E', missing: [] }],
      damaged: [],
      read: null,
    });
  });

  it('tells what is in cold storage; what could not be read there is not called damaged', async () => {
    const { store } = golden();
    const isCold = (key: string) => /tar_partitions|wal_005\/0000000100/.test(key);
    const { status, report } = await verify(coldStore(store, isCold), { read: true });
    expect(status).toBe(0);
    expect(report).toMatchObject({
      backups: [{ state: 'ok', coldParts: { GLACIER: 1 } }],
      coldSegments: { GLACIER: 4 },
      damaged: [],
      read: { cold: 6 },
    });
    const { out } = await verify(coldStore(store, isCold), { json: false, read: true });
    expect(out).toMatch(/^base_.* 1 part in GLACIER$/m);
    expect(out).toContain('6 objects NOT READ, in cold storage');
    expect(out).toContain('4 segments in GLACIER; parts of 1 backup');
    expect((await verify(store, { json: false, read: true })).out).not.toMatch(/cold/i);
  });

  it('says with which segment the WAL ends and when that was archived: nobody may have archived anything since', async () => {
    const store = archive([1, 10, 80], [2, 60, 60]);
    addBackup(store, { start: 10, system: '7' });
    const { status, report } = await verify(store);
    expect(status).toBe(0);
    expect(report).toMatchObject({ lastSegment: segmentAt(2, 60), lastArchived: LONG_AGO.toISOString() });
    const lines = (await verify(store, { json: false })).out.trimEnd().split('\n');
    expect(lines.at(-1)).toBe(
      `All backups can be restored to the end of the WAL. Its last segment, ${segmentAt(2, 60)}, was archived at 2026-01-01T00:00:00.000Z.`,
    );
    store.set(walKey(segmentAt(1, 70)), new Date('2026-02-01T00:00:00Z'), { size: 100_000 });
    expect((await verify(store)).report).toMatchObject({ lastSegment: segmentAt(1, 70), currentTimeline: 1 });
  });

  it('tells a gap, how far the backup restores in spite of it, and exits 1', async () => {
    const store = archive([1, 10, 20], [1, 23, 80]);
    addBackup(store, { start: 10, stop: 11, system: '7' });
    addBackup(store, { start: 30, system: '7' });
    const { status, report } = await verify(store);
    expect(status).toBe(1);
    const missing = [{ timeline: 1, first: segmentAt(1, 21), last: segmentAt(1, 22), segments: 2 }];
    expect(report?.timelines[0]?.gaps).toEqual(missing);
    expect(report?.backups).toMatchObject([
      { state: 'gap', restorableTo: segmentAt(1, 20), missing },
      { state: 'ok', restorableTo: segmentAt(1, 80) },
    ]);
  });

  it('calls a backup broken that lacks its own WAL, a part, or a readable sentinel', async () => {
    const store = archive([1, 11, 80]);
    addBackup(store, { start: 10, stop: 11, system: '7' });
    addBackup(store, { start: 20, system: '7', parts: [0, 1] });
    store.objects.delete(partKey(backupOf({ start: 20 }).name, 1));
    addBackup(store, { start: 30, system: '7' });
    store.set(sentinelKey(backupOf({ start: 30 }).name), LONG_AGO, { bytes: Buffer.from('{}') });
    const { status, report } = await verify(store);
    expect(status).toBe(1);
    expect(
      new Map(report?.backups.map(({ name, state, problem }) => [name.slice(27, 29), { state, problem }])),
    ).toEqual(
      new Map([
        ['0A', { state: 'broken', problem: `WAL is missing: ${segmentAt(1, 10)}` }],
        ['14', { state: 'broken', problem: 'part 1 is missing' }],
        ['1E', { state: 'broken', problem: expect.stringContaining('unreadable sentinel') }],
      ]),
    );
  });

  it('calls segments short that are too small to hold one, and takes them for missing', async () => {
    const store = archive([1, 10, 80]);
    addBackup(store, { start: 10, system: '7' });
    store.set(walKey(segmentAt(1, 15)), LONG_AGO, { size: 60_000 });
    const { report } = await verify(store);
    expect(report?.damaged).toEqual([
      { key: walKey(segmentAt(1, 15)), problem: 'too short to hold a segment: 60000 bytes' },
    ]);
    expect(report?.backups[0]).toMatchObject({ state: 'gap', restorableTo: segmentAt(1, 14) });
  });

  it("counts objects that are not WAL-E's, and a timeline whose history file is missing", async () => {
    const store = archive([1, 10, 20], [3, 15, 20]);
    addBackup(store, { start: 10, system: '7' });
    store.set('wal_005/junk', LONG_AGO, { size: 1 });
    store.set('basebackups_005/junk', LONG_AGO, { size: 1 });
    const { status, report, out } = await verify(store);
    expect(status).toBe(0);
    expect(report).toMatchObject({
      foreignObjects: 2,
      foreignKeys: ['basebackups_005/junk', 'wal_005/junk'],
    });
    expect(report?.timelines[1]).toMatchObject({ timeline: 3, historyKnown: false });
    expect(out.endsWith('}\n')).toBe(true);
    expect((await verify(store, { json: false })).out).toContain('HISTORY FILE MISSING');
  });

  it('takes a gap before a segment that has just been archived for an archiver at work', async () => {
    const store = archive([1, 10, 80]);
    addBackup(store, { start: 10, system: '7' });
    store.objects.delete(walKey(segmentAt(1, 79)));
    store.set(walKey(segmentAt(1, 80)), new Date(Date.now() - 60_000), { size: 100_000 });
    expect((await verify(store)).report?.backups[0]).toMatchObject({ state: 'ok', inFlight: true });
    store.set(walKey(segmentAt(1, 80)), new Date(Date.now() - 3_600_000), { size: 100_000 });
    expect((await verify(store)).report?.backups[0]).toMatchObject({ state: 'gap', inFlight: false });
  });

  it('says that a backup leads to an abandoned branch', async () => {
    const store = archive([1, 10, 40]);
    addBackup(store, { start: 10, system: '7' });
    addBackup(store, { start: 35, system: '7' });
    store.set(walKey('00000002.history'), LONG_AGO, { bytes: lzop(Buffer.from('1\t0/14000000\tx\n')) });
    for (let index = 20; index < 30; index += 1)
      store.set(walKey(segmentAt(2, index)), new Date('2026-02-01'), { size: 100_000 });
    const { status, out, report } = await verify(store, { json: false });
    expect([status, report]).toEqual([0, undefined]);
    expect(out).toContain('leads to timeline 1, not to the current one');
  });

  it('finds nothing wrong with an archive without backups, and says that nothing can be restored from it', async () => {
    expect((await verify(new MemoryStore())).status).toBe(0);
    const { status, out } = await verify(archive([1, 10, 20]), { json: false });
    expect(status).toBe(0);
    expect(out).toContain('There is no base backup: nothing can be restored.');
  });
});

describe('wal-verify --read', () => {
  let original: string;
  beforeAll(() => {
    original = golden().folder;
  });
  afterAll(() => rmSync(original, { recursive: true }));
  const copy = () => {
    const folder = createScratch();
    cpSync(original, folder, { recursive: true, preserveTimestamps: true });
    return { folder, store: createFileStore(folder) };
  };

  it('reads every WAL file and part of a whole archive and finds nothing', async () => {
    const { status, report } = await verify(copy().store, { read: true });
    expect(status).toBe(0);
    expect(report?.read).toMatchObject({ part: '1/1', objects: 8 });
  });

  it.each([
    ['wal_005/00000001000000000000000C.lzo', 'gap'],
    ['wal_005/00000001000000000000000B.lzo', 'broken'],
    ['basebackups_005/base_00000001000000000000000B_00000040/tar_partitions/part_00000000.tar.lzo', 'broken'],
  ])('finds a wrong byte in %s: the backup is %s', async (key, state) => {
    const { folder, store } = copy();
    damage(join(folder, key));
    const { status, report } = await verify(store, { read: true });
    expect(status).toBe(1);
    expect(report?.damaged.map((object) => object.key)).toEqual([key]);
    expect(report?.backups[0]?.state).toBe(state);
  });

  it('calls no object damaged when the store goes away, also after the last attempt', async () => {
    const { store } = copy();
    const gone = new StoreError('no route to the store', { transient: false, unavailable: true });
    const dying: Store = {
      ...store,
      get: async (key, call) =>
        key.includes('wal_005') ? await Promise.reject(gone) : await store.get(key, call),
    };
    await expect(verify(dying, { read: true })).rejects.toBe(gone);
  });

  it('finds an object that is whole, but another one than its name says', async () => {
    const { folder, store } = copy();
    const file = (name: string) => join(folder, 'wal_005', `${name}.lzo`);
    cpSync(file('00000001000000000000000B'), file('00000001000000000000000C'));
    const { report } = await verify(store, { read: true });
    expect(report?.damaged[0]?.problem).toContain('its header says 0/B00000');
  });

  it.each([
    ['a timeline history', '00000009.history', ''],
    ['a backup label', '00000001000000000000000A.00000028.backup', ''],
    ['a backup label', '00000001000000000000000A.00000028.backup', 'START\0WAL'],
    ['a timeline history', '00000009.history', '# no line\n'.repeat(110_000)],
  ])('calls %s damaged that wal-fetch would refuse: %s, %s', async (_, name, text) => {
    const { folder, store } = copy();
    writeFileSync(join(folder, 'wal_005', `${name}.lzo`), lzop(Buffer.from(text)));
    const { report } = await verify(store, { read: true });
    const key = walKey(name);
    expect(report?.damaged.find((damage) => damage.key === key)?.problem).toMatch(
      /is empty|not a text file|bytes/,
    );
  });

  it('reads one part of the objects at a time, and all of them in the end', async () => {
    const { store } = copy();
    const objects = [];
    for (const part of [1, 2, 3])
      objects.push((await verify(store, { readPart: `${part}/3` })).report?.read?.objects);
    expect(objects.reduce((sum, count) => (sum ?? 0) + (count ?? 0), 0)).toBe(8);
    const keys = Array.from({ length: 3000 }, (_, i) => walKey(segmentAt(1, i)));
    const sizes = [1, 2, 3].map((part) => keys.filter((key) => isInPart(key, { part, of: 3 })).length);
    for (const size of sizes) expect(Math.abs(size - 1000)).toBeLessThan(150);
  });

  it.each(['0/3', '4/3', '1', 'a/b', '1/0'])('refuses the part %s', async (readPart) => {
    await expect(verify(copy().store, { readPart })).rejects.toThrow(`invalid part: '${readPart}'`);
  });

  it('compares the SHA-256 of our own parts', async () => {
    const store = new MemoryStore();
    const name = backupName('00000001000000000000000A', 40);
    const part = lzop(Buffer.alloc(1024));
    const { reading } = backupOf({ start: 10, system: '7' });
    if (reading.kind !== 'read' || reading.sentinel.own === undefined) throw new Error('no sentinel');
    const facts = (sha256: string) => ({
      ...reading.sentinel,
      own: reading.sentinel.own && {
        ...reading.sentinel.own,
        parts: [{ number: 0, size: part.length, sha256, members: 1, expandedSize: 1 }],
      },
    });
    store.set(partKey(name, 0), LONG_AGO, { bytes: part });
    for (const [sha256, problems] of [
      [createHash('sha256').update(part).digest('hex'), []],
      ['0'.repeat(64), ['its SHA-256 is not that of the sentinel']],
    ] as const) {
      const text = writeSentinel(facts(sha256));
      expect(parseSentinel(text).own?.parts).toHaveLength(1);
      store.set(sentinelKey(name), LONG_AGO, { bytes: Buffer.from(text) });
      const { report } = await verify(store, { read: true });
      expect(report?.damaged.map(({ problem }) => problem)).toEqual(problems);
    }
  });
});
