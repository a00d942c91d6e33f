/**
 * Two systems have used one prefix, and dates of objects are not what they were: a store's clock was reset, or a tool
 * copied the archive and set dates of its own. What a header says of WAL counts for more than its date.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Key, partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { type BackupSketch, backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import { testContext } from '../harness/context.ts';
import { createKeyring, GOLDEN_GPG, hasGpg } from '../harness/gpg.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { segmentHead } from '../harness/segment.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const DAY = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const retain = (count: number): DeleteArguments => ({
  ...{ confirm: true, dryRun: false, json: false, orphansOlderThan: undefined },
  ...{ verb: 'retain', count, retainDays: undefined },
});

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

function lzop(plain: Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(plain), encoder.end()]);
}

function walOf(index: number, system: string, timeline = 1): Buffer {
  const options = { systemIdentifier: BigInt(system) };
  return lzop(segmentHead(segmentAt(timeline, index), SEGMENT_BYTES, options));
}

const OLD = new Date(NOW - 250 * DAY);

/**
 * The old system, 71, archived 1 to 260 and has backups at 200 and 230. The new one, 72, was made by initdb and came to
 * 40, under whose names the old one's are gone; its backup is at 10.
 */
class Archive {
  readonly store = new MemoryStore();
  /** Keys of which the content was asked for. */
  readonly read: string[] = [];

  constructor() {
    for (const start of [200, 230]) this.backup({ start, system: '71', at: NOW - (300 - start) * DAY });
    for (let index = 41; index <= 260; index += 1)
      this.segment({ index, system: '71', at: NOW - (300 - index) * DAY });
    this.backup({ start: 10, stop: 11, system: '72', at: NOW - 25.2 * DAY });
    for (let index = 1; index <= 40; index += 1)
      this.segment({ index, system: '72', at: NOW - (30 - index / 2) * DAY });
    const get = this.store.get.bind(this.store);
    this.store.get = async (key, call) => {
      this.read.push(key);
      return get(key, call);
    };
  }

  backup(sketch: BackupSketch): void {
    const { name, parts, reading, sentinel } = backupOf(sketch);
    const at = sentinel?.modified ?? new Date(NOW);
    this.store.set(versionKey(name), at, { size: 100 });
    for (const { number } of parts) this.store.set(partKey(name, number), at, { size: 100 });
    if (reading.kind === 'read')
      this.store.set(sentinelKey(name), at, { bytes: Buffer.from(writeSentinel(reading.sentinel)) });
  }

  history(timeline: number, text: string): void {
    const bytes = lzop(Buffer.from(text));
    this.store.set(walKey(`0000000${timeline}.history`), new Date(NOW - 50 * DAY), { bytes });
  }

  segment(one: { index: number; timeline?: number; system: string; at: number }): void {
    const bytes = walOf(one.index, one.system, one.timeline);
    this.store.set(walKey(segmentAt(one.timeline ?? 1, one.index)), new Date(one.at), { bytes });
  }

  /** Gives WAL another date, and nothing else. */
  date(indexes: readonly number[], at: number): void {
    for (const index of indexes) {
      const key = walKey(segmentAt(1, index));
      const bytes = this.store.objects.get(key)?.bytes;
      if (bytes !== undefined) this.store.set(key, new Date(at), { bytes });
    }
  }

  segments(timeline = 1): number[] {
    const start = `wal_005/${segmentAt(timeline, 0).slice(0, 8)}`;
    const names = this.store.keys().filter((key) => key.startsWith(start) && key.length === 36);
    return names.map(
      (key) => Number.parseInt(key.slice(16, 24), 16) * 256 + Number.parseInt(key.slice(24, 32), 16),
    );
  }

  /** How many segments were looked into. */
  get looks(): number {
    return this.read.filter((key) => key.startsWith('wal_005/')).length;
  }
}

/** Its warnings. */
async function deleteIn({ store }: Archive, args: DeleteArguments) {
  const context = testContext({ store });
  expect(await run(args, context)).toBe(0);
  return context.records.filter(({ level }) => level === 'WARNING');
}

describe('WAL that a kept backup would need by its name, from long before it', () => {
  it("goes where the headers say that it is another system's, however many backups that one keeps", async () => {
    const archive = new Archive();
    expect(await deleteIn(archive, retain(2))).toEqual([]);
    expect(archive.segments()).toEqual([...range(10, 40), ...range(230, 260)]);
    expect(archive.looks).toBeLessThanOrEqual(3);
  });

  it('costs few looks, however much of it there is', async () => {
    const archive = new Archive();
    for (let index = 261; index <= 6000; index += 1)
      archive.segment({ index, system: '71', at: NOW - 40 * DAY });
    await deleteIn(archive, retain(1));
    expect(archive.segments()).toEqual(range(10, 40));
    expect(archive.looks).toBeLessThanOrEqual(3);
  });

  it.each([
    ['all of it', range(10, 40)],
    ['all after its first segment', range(11, 40)],
    ['some of it', range(20, 25)],
    ['the last segment', [40]],
    ['every second segment', range(10, 40).filter((index) => index % 2 === 0)],
  ])("stays where the headers say that it is that backup's own: %s", async (_title, indexes) => {
    const archive = new Archive();
    archive.date(indexes, 0);
    const [warning, ...more] = await deleteIn(archive, retain(2));
    expect(archive.segments()).toEqual(range(10, 260));
    expect(more).toEqual([]);
    expect(warning).toMatchObject({
      message: `keeping ${indexes.length + 189} WAL segments that only dates show to be another system's`,
      detail:
        `memory://test/${walKey(segmentAt(1, indexes[0] ?? 0))} has the date 1970-01-01T00:00:00.000Z, long before the ` +
        'backups that stay, but its header names their system, 72: dates in this archive are wrong.',
      hint: expect.stringContaining('a prefix of its own'),
    });
  });

  it.each<[string, (archive: Archive, key: Key) => void, RegExp]>([
    ['is empty', ({ store }, key) => store.set(key, OLD), /does not tell/],
    [
      'holds no WAL',
      ({ store }, key) => store.set(key, OLD, { bytes: lzop(Buffer.alloc(8192)) }),
      /header of a WAL page/,
    ],
    [
      'holds another segment',
      ({ store }, key) => store.set(key, OLD, { bytes: walOf(7, '71') }),
      /By its name it starts at/,
    ],
  ])('stays, all of it, where the first of it %s', async (_title, spoil, reason) => {
    const archive = new Archive();
    spoil(archive, walKey(segmentAt(1, 41)));
    const [warning, ...more] = await deleteIn(archive, retain(2));
    expect(archive.segments()).toEqual(range(10, 260));
    expect(more).toEqual([]);
    expect(warning?.message).toMatch(/^keeping 189 WAL segments that only dates show/);
    expect(warning?.detail).toMatch(reason);
    expect(warning?.hint).toBeTruthy();
  });

  it.skipIf(!hasGpg())('stays where the key to it is not at hand, and the user is told', async () => {
    const keyring = createKeyring('public');
    try {
      vi.stubEnv('GNUPGHOME', keyring.home);
      const archive = new Archive();
      const bytes = readFileSync(join(GOLDEN_GPG, 'archive/wal_005/00000001000000000000000A.lzo'));
      archive.store.set(walKey(segmentAt(1, 41)), OLD, { bytes });
      const [warning] = await deleteIn(archive, retain(2));
      expect(archive.segments()).toEqual(range(10, 260));
      expect(warning?.detail).toMatch(/does not tell: gpg could not decrypt\. /);
      expect(warning?.hint).toContain('gpg --list-secret-keys');
    } finally {
      vi.unstubAllEnvs();
      keyring.dispose();
    }
  });

  it("stays where a second backup starts right behind the other system's", async () => {
    const archive = new Archive();
    archive.backup({ start: 30, stop: 31, system: '72', at: NOW - 14 * DAY });
    for (const index of range(16, 29)) archive.segment({ index, system: '71', at: NOW - 260 * DAY });
    archive.date(range(30, 40), 0);
    await deleteIn(archive, retain(2));
    expect(archive.segments()).toEqual(range(10, 260));
  });

  it("stays where it ends a run, even if some of the other system's stands in its way", async () => {
    const archive = new Archive();
    for (const index of range(41, 60)) archive.store.objects.delete(walKey(segmentAt(1, index)));
    for (const index of range(21, 25)) archive.segment({ index, system: '71', at: NOW - 260 * DAY });
    archive.date(range(26, 40), 0);
    await deleteIn(archive, retain(2));
    expect(archive.segments()).toEqual([...range(10, 40), ...range(61, 260)]);
  });

  it("stays where it begins right behind the other system's, on a timeline that the backup leads to", async () => {
    const archive = new Archive();
    archive.history(2, `1\t0/1E000000\tx\n`);
    for (const index of range(20, 29))
      archive.segment({ timeline: 2, index, system: '71', at: NOW - 200 * DAY });
    for (const index of range(30, 50)) archive.segment({ timeline: 2, index, system: '72', at: 0 });
    for (const index of range(51, 60))
      archive.segment({ timeline: 2, index, system: '71', at: NOW - 200 * DAY });
    await deleteIn(archive, retain(1));
    expect(archive.segments(2)).toEqual(range(20, 60));
  });

  it("stays where a log of the other system's smaller segments lies in between", async () => {
    const archive = new Archive();
    const large = 64 * 1024 * 1024;
    archive.store.objects.clear();
    archive.backup({ start: 300, system: '71', at: NOW - 90 * DAY });
    for (const index of range(1, 600)) archive.segment({ index, system: '71', at: NOW - 100 * DAY });
    archive.backup({ start: 1, system: '72', at: NOW - 20 * DAY, segmentBytes: large });
    const names = range(1, 70).map((index) => segmentName(1, BigInt(index * large), large));
    for (const [at, name] of names.entries()) {
      const bytes = lzop(segmentHead(name, large, { systemIdentifier: 72n }));
      archive.store.set(walKey(name), at < 63 ? new Date(NOW - 19 * DAY) : new Date(0), { bytes });
    }
    await deleteIn(archive, retain(1));
    for (const name of names) expect(archive.store.objects.has(walKey(name))).toBe(true);
  });

  it('stays where it lies in more pieces than can be looked into', async () => {
    const archive = new Archive();
    for (let index = 262; index <= 9000; index += 2)
      archive.segment({ index, system: '71', at: NOW - 40 * DAY });
    const before = archive.segments().filter((index) => index >= 10);
    const [warning] = await deleteIn(archive, retain(1));
    expect(warning?.detail).toContain('more pieces');
    expect(archive.segments()).toEqual(before);
  });
});

describe("a backup whose sentinel states that it is newer than another system's, and the date of that object that it is older", () => {
  const misdated = () => {
    const archive = new Archive();
    for (const [key, stored] of archive.store.objects)
      if (key.startsWith('basebackups_005/') && key.includes(segmentAt(1, 10)))
        archive.store.objects.set(key, { ...stored, modified: new Date(0) });
    return archive;
  };

  it('does not go while the other stays: refused, and why', async () => {
    const archive = misdated();
    const keys = archive.store.keys();
    await expect(deleteIn(archive, retain(2))).rejects.toMatchObject({
      message: 'cannot tell which backups are older',
      detail: expect.stringMatching(
        /^base_0{7}10{14}0A_00000040 was finished at 2026-05-06T\S+ by its sentinel, which was stored at 1970-01-01T\S+ by its date; base_0{7}10{14}C8_00000040 of another system, which would stay, was finished at 2026-02-21T/,
      ),
      hint: expect.stringMatching(/^Nothing was deleted\. /),
    });
    expect(archive.store.keys()).toEqual(keys);
  });

  it('may stay with it', async () => {
    const archive = misdated();
    await deleteIn(archive, retain(3));
    expect(archive.store.keys().filter((key) => key.endsWith('_sentinel.json'))).toHaveLength(3);
    expect(archive.segments()).toEqual(range(10, 260));
  });

  it('goes where what it states cannot be', async () => {
    const archive = misdated();
    vi.setSystemTime(NOW - 40 * DAY);
    await deleteIn(archive, retain(2));
    expect(archive.store.keys().filter((key) => key.endsWith('_sentinel.json'))).toHaveLength(2);
  });
});

describe('an archive of one system', () => {
  it('is not looked into, whatever the dates of its WAL', async () => {
    const archive = new Archive();
    archive.store.objects.clear();
    for (const start of [10, 20]) archive.backup({ start, system: '71', at: NOW - (60 - start) * DAY });
    for (const index of range(5, 40))
      archive.segment({ index, system: '71', at: index < 30 ? 0 : NOW - 20 * DAY });
    await deleteIn(archive, retain(1));
    expect(archive.segments()).toEqual(range(20, 40));
    expect(archive.looks).toBe(0);
  });
});
