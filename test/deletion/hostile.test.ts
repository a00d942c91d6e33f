/** Archives that lie: whatever they hold, what a kept backup needs stays, or delete refuses with a reason. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { surveyBackups } from '../../src/archive/survey.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { incompleteBackups } from '../../src/deletion/incomplete.ts';
import { UserError } from '../../src/errors.ts';
import { formatText } from '../../src/log.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { type BackupSketch, backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { segmentHead } from '../harness/segment.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const DAY = 86_400_000;
const retain = (count: number): DeleteArguments => ({
  confirm: true,
  dryRun: false,
  json: false,
  orphansOlderThan: undefined,
  verb: 'retain',
  count,
  retainDays: undefined,
});
const everything: DeleteArguments = { ...retain(1), verb: 'everything' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

function lzop(plain: Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(plain), encoder.end()]);
}

class Archive {
  readonly store = new MemoryStore();

  /** Three backups of one system, at 10, 20 and 30, and WAL from 5 to 40. */
  constructor(starts: readonly number[] = [10, 20, 30]) {
    for (const start of starts) this.backup({ start, at: NOW - (60 - start) * DAY, system: '7' });
    this.wal(1, 5, 40);
  }

  backup(sketch: BackupSketch, change: (text: string) => string = (text) => text): string {
    const { name, parts, reading } = backupOf(sketch);
    const at = new Date(sketch.at ?? NOW - 30 * DAY);
    this.store.set(versionKey(name), at, { size: 10 });
    for (const { number } of parts) this.store.set(partKey(name, number), at, { size: 100 });
    if (reading.kind === 'read')
      this.store.set(sentinelKey(name), at, { bytes: Buffer.from(change(writeSentinel(reading.sentinel))) });
    return name;
  }

  wal(timeline: number, first: number, last: number): void {
    for (let index = first; index <= last; index += 1)
      this.store.set(walKey(segmentAt(timeline, index)), new Date(NOW - 30 * DAY), { size: 10 });
  }

  object(key: string, content: { readonly bytes?: Uint8Array; readonly size?: number } = {}): void {
    this.store.set(key, new Date(NOW - 30 * DAY), content);
  }

  history(timeline: number, text: string): void {
    const bytes = lzop(Buffer.from(text));
    this.object(walKey(`${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`), { bytes });
  }

  has(timeline: number, index: number): boolean {
    return this.store.objects.has(walKey(segmentAt(timeline, index)));
  }

  listed(): number {
    return this.store.keys().filter((key) => key.endsWith('_sentinel.json')).length;
  }
}

/** What it refuses with; undefined when it did what it was asked for. Nothing may be gone after a refusal. */
async function attempt({ store }: Archive, args: DeleteArguments): Promise<string | undefined> {
  const before = store.keys();
  try {
    await run(args, testContext({ store }));
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(store.keys()).toEqual(before);
    expect(error.hint).toBeTruthy();
    return error.message;
  }
}

const field = (name: string, value: string) => (text: string) =>
  text.replace(new RegExp(`"${name}": ("[^"]*"|-?\\d+)`), `"${name}": ${value}`);

describe('a newest sentinel that', () => {
  const lies: [string, (text: string) => string][] = [
    ['is cut', (text) => text.slice(0, 40)],
    ['is empty', () => ''],
    ['is no JSON', () => '<html>502 Bad Gateway</html>'],
    ['is a list', () => '[]'],
    ['is nested deeply', () => '['.repeat(100_000)],
    ['has a negative size', field('expanded_size_bytes', '-1')],
    ['has a stop segment that is none', field('wal_segment_backup_stop', '"../../etc/passwd"')],
    ['has a time that is none', field('finishTime', '"tomorrow"')],
    ['has an LSN that is none', field('stopLsn', '"-1/-1"')],
    ['has a negative segment size', field('segmentBytes', '-16777216')],
    ['has an odd segment size', field('segmentBytes', '16777215')],
    ['has a part of negative size', field('size', '-100')],
  ];

  it.each(lies)('%s is not the only one to stay: refused', async (_title, change) => {
    const archive = new Archive([10, 20]);
    archive.backup({ start: 30, at: NOW - 20 * DAY, system: '7' }, change);
    expect(await attempt(archive, retain(1))).toBe('no backup that can be restored would be left');
    expect(await attempt(archive, retain(2))).toBeUndefined();
    expect([archive.has(1, 19), archive.has(1, 20), archive.listed()]).toEqual([false, true, 2]);
  });

  it('is larger than any sentinel is not read into memory', async () => {
    const archive = new Archive([10, 20]);
    const name = archive.backup({ start: 30, at: NOW - 20 * DAY, system: '7' });
    archive.object(`basebackups_005/${name}_backup_stop_sentinel.json`, {
      bytes: Buffer.alloc(65 * 1024 * 1024, ' '),
    });
    expect(await attempt(archive, retain(1))).toBe('no backup that can be restored would be left');
  });

  it('stops before its start, where a timeline branched off in between, costs no kept backup its WAL', async () => {
    const archive = new Archive([10, 20]);
    archive.backup({ start: 30, at: NOW - 20 * DAY, system: '7' }, field('stopLsn', '"0/2000000"'));
    archive.backup({ timeline: 2, start: 38, at: NOW - 10 * DAY, system: '7' });
    archive.history(2, '1\t0/19000000\tx\n');
    archive.wal(2, 25, 45);
    expect(await attempt(archive, retain(2))).toBeUndefined();
    for (let index = 30; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
    for (let index = 38; index <= 45; index += 1) expect(archive.has(2, index)).toBe(true);
  });

  it.each([
    ['before its start', segmentAt(1, 2)],
    ['on another timeline', segmentAt(9, 31)],
    ['at the end of the world', 'FFFFFFFFFFFFFFFFFFFFFFFF'],
  ])('stops %s costs no kept backup its WAL', async (_title, stop) => {
    const archive = new Archive([10, 20]);
    archive.backup(
      { start: 30, at: NOW - 20 * DAY, system: '7' },
      field('wal_segment_backup_stop', `"${stop}"`),
    );
    await attempt(archive, retain(2));
    for (let index = 20; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
  });
});

describe('times that cannot be', () => {
  it('in the future do not make an old backup the newest', async () => {
    const archive = new Archive([20, 30]);
    const future = {
      start: 10,
      at: NOW - 50 * DAY,
      started: NOW - 51 * DAY,
      finished: NOW + 9999 * DAY,
      system: '7',
    };
    archive.backup(future);
    expect(await attempt(archive, retain(1))).toBeUndefined();
    expect([archive.has(1, 29), archive.has(1, 30)]).toEqual([false, true]);
    expect(archive.store.keys().filter((key) => key.endsWith('.json'))).toEqual([
      expect.stringContaining(segmentAt(1, 30)),
    ]);
  });

  it('of a clock that was set back while a backup of days was made cost it none of its WAL', async () => {
    const archive = new Archive([]);
    archive.backup({ start: 36, at: NOW - 2 * DAY, system: '8' });
    archive.backup({ start: 100, at: NOW - 50 * DAY, system: '7' });
    archive.wal(1, 100, 110);
    // Begun 12 days ago, as its first object shows; finished 8 days ago, by a clock that was set back in between.
    const slow = {
      start: 30,
      stop: 33,
      at: NOW - 8 * DAY,
      started: NOW - 6 * DAY,
      finished: NOW - 8 * DAY,
      system: '8',
    };
    const name = archive.backup(slow);
    archive.store.set(`basebackups_005/${name}/extended_version.txt`, new Date(NOW - 12 * DAY), { size: 10 });
    for (let index = 30; index <= 40; index += 1)
      archive.store.set(walKey(segmentAt(1, index)), new Date(NOW - (42 - index) * DAY), { size: 10 });
    expect(await attempt(archive, retain(2))).toBeUndefined();
    expect(archive.listed()).toBe(2);
    for (let index = 30; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
  });

  it.each([
    ['that stores nothing until it is finished', { started: NOW - 12 * DAY, finished: NOW - 8 * DAY }],
    ['of a host whose clock is six days ahead', { started: NOW - 6 * DAY, finished: NOW - 2 * DAY }],
    [
      'that was copied since, unlike its WAL',
      { at: NOW - 3 * DAY, started: NOW - 12 * DAY, finished: NOW - 8 * DAY },
    ],
  ])('cost a backup of days %s none of its WAL', async (_title, stated) => {
    const archive = new Archive([]);
    archive.backup({ start: 36, at: NOW - 2 * DAY, system: '8' });
    archive.backup({ start: 20, at: NOW - 50 * DAY, system: '7' });
    archive.wal(1, 20, 25);
    archive.backup({ start: 30, stop: 33, at: NOW - 8 * DAY, system: '8', ...stated });
    for (let index = 30; index <= 40; index += 1)
      archive.store.set(walKey(segmentAt(1, index)), new Date(NOW - (42 - index) * DAY), { size: 10 });
    expect(await attempt(archive, retain(2))).toBeUndefined();
    expect(archive.listed()).toBe(2);
    for (let index = 30; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
  });

  it('long before those of backups that start earlier are a reason to refuse', async () => {
    const archive = new Archive([10, 20]);
    archive.backup({ start: 30, at: NOW - DAY, finished: 0, started: 0, system: '7' });
    expect(await attempt(archive, retain(1))).toBe('cannot tell which backups are older');
  });
});

describe('dates of WAL long before the backup that needs it', () => {
  it('cost it nothing where one system has used the archive', async () => {
    const archive = new Archive();
    for (let index = 5; index <= 40; index += 1)
      archive.store.set(walKey(segmentAt(1, index)), new Date(NOW - 900 * DAY), { size: 10 });
    expect(await attempt(archive, retain(1))).toBeUndefined();
    expect(archive.has(1, 29)).toBe(false);
    for (let index = 30; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
  });
});

describe('segment sizes', () => {
  const nameOf = (mb: number, index: number) =>
    segmentName(1, BigInt(index) * BigInt(mb * 1024 * 1024), mb * 1024 * 1024);

  /** A system with segments of 16 MB from 200 to 300, across the end of a log, then one with segments of 64 MB from 1. */
  function upgraded(): Archive {
    const archive = new Archive([]);
    archive.store.objects.clear();
    archive.backup({ start: 205, at: NOW - 50 * DAY, system: '7' });
    archive.backup({ start: 250, at: NOW - 40 * DAY, system: '7' });
    for (let index = 200; index <= 300; index += 1) {
      const head = segmentHead(segmentAt(1, index), SEGMENT_BYTES, { systemIdentifier: 7n });
      archive.object(walKey(segmentAt(1, index)), { bytes: lzop(head) });
    }
    archive.backup(
      { start: 2, at: NOW - 10 * DAY, system: '8' },
      field('segmentBytes', String(64 * 1024 * 1024)),
    );
    for (let index = 1; index <= 63; index += 1)
      archive.store.set(walKey(nameOf(64, index)), new Date(NOW - 9 * DAY), { size: 10 });
    return archive;
  }

  it('of two systems that differ do not mix up what comes before what', async () => {
    const archive = upgraded();
    expect(await attempt(archive, retain(2))).toBeUndefined();
    expect([archive.has(1, 249), archive.has(1, 205)]).toEqual([false, false]);
    for (let index = 250; index <= 300; index += 1) expect(archive.has(1, index)).toBe(true);
    for (let index = 2; index <= 63; index += 1)
      expect(archive.store.objects.has(walKey(nameOf(64, index)))).toBe(true);
  });

  it.each([
    ['beside one that states the right one', '7'],
    ['alone', undefined],
  ])(
    'that a sentinel states too large do not cost a kept backup the WAL of the next log: %s',
    async (_, system) => {
      const archive = new Archive([]);
      archive.store.objects.clear();
      archive.wal(1, 200, 300);
      archive.backup({ start: 220, at: NOW - 50 * DAY, ...(system === undefined ? {} : { system }) });
      archive.backup({ start: 240, at: NOW - 40 * DAY, system: '7' }, field('segmentBytes', String(2 ** 30)));
      archive.backup({ start: 210, at: NOW - 60 * DAY });
      expect(await attempt(archive, retain(2))).toBeUndefined();
      for (let index = 220; index <= 300; index += 1) expect(archive.has(1, index)).toBe(true);
      expect(archive.has(1, 219)).toBe(false);
    },
  );

  it('say nothing about names with numbers that no segment has: those are left alone', async () => {
    const archive = new Archive();
    const odd = [walKey('0000000100000000FFFFFFFF'), walKey('000000010000000000001000.00000028.backup')];
    for (const key of odd) archive.object(key);
    expect(await attempt(archive, retain(1))).toBeUndefined();
    for (const key of odd) expect(archive.store.objects.has(key)).toBe(true);
    expect([archive.has(1, 29), archive.has(1, 30)]).toEqual([false, true]);
  });
});

describe('a history file that', () => {
  /** Timeline 2 leaves timeline 1 in segment 25; its own backup is at 38, and its WAL from 25 to 40. */
  function branched(history: ((archive: Archive) => void) | undefined): Archive {
    const archive = new Archive([10, 20]);
    archive.backup({ timeline: 2, start: 38, at: NOW - 10 * DAY, system: '7' });
    archive.wal(2, 25, 40);
    history?.(archive);
    return archive;
  }

  const FILE = walKey('00000002.history');
  it.each<[string, ((archive: Archive) => void) | undefined]>([
    ['is missing', undefined],
    ['is no lzop', (archive) => archive.object(FILE, { bytes: Buffer.from('1\t0/19000000\tx\n') })],
    ['is empty', (archive) => archive.object(FILE)],
    ['names itself', (archive) => archive.history(2, '2\t0/19000000\tx\n')],
    ['names a later timeline', (archive) => archive.history(2, '3\t0/19000000\tx\n')],
    ['names no timeline', (archive) => archive.history(2, '-1\t0/19000000\tx\n')],
    ['is cut in the LSN', (archive) => archive.history(2, '1\t0/1')],
    ['is noise', (archive) => archive.history(2, '\0\0\0\0')],
  ])('%s costs the backup before the branch none of the WAL on it', async (_title, history) => {
    const archive = branched(history);
    expect(await attempt(archive, retain(2))).toBeUndefined();
    for (let index = 20; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
    for (let index = 25; index <= 40; index += 1) expect(archive.has(2, index)).toBe(true);
  });

  it('goes in a circle with another leaves both unknown', async () => {
    const archive = branched((broken) => {
      broken.history(2, '3\t0/19000000\tx\n');
      broken.history(3, '2\t0/19000000\tx\n');
      broken.wal(3, 25, 40);
    });
    expect(await attempt(archive, retain(2))).toBeUndefined();
    for (const timeline of [2, 3])
      for (let index = 25; index <= 40; index += 1) expect(archive.has(timeline, index)).toBe(true);
  });

  it('belongs to a timeline of the largest number is like any other', async () => {
    const archive = new Archive();
    archive.wal(0xffff_ffff, 28, 40);
    archive.history(0xffff_ffff, '1\t0/1C000000\tx\n2147483648\t0/1D000000\tx\n');
    expect(await attempt(archive, retain(1))).toBeUndefined();
    for (let index = 30; index <= 40; index += 1) expect(archive.has(0xffff_ffff, index)).toBe(true);
  });
});

describe('WAL of a timeline that nobody knows', () => {
  it('stays where a kept backup may lead to it', async () => {
    const archive = new Archive();
    archive.wal(9, 29, 50);
    expect(await attempt(archive, retain(1))).toBeUndefined();
    for (let index = 30; index <= 50; index += 1) expect(archive.has(9, index)).toBe(true);
  });
});

describe('odd keys', () => {
  const ODD = [
    'wal_005/',
    'wal_005/000000010000000000000006.lzo/',
    'wal_005/000000010000000000000006.lzo\n',
    'wal_005/000000010000000000000006.lzo.lzo',
    'wal_005/../wal_005/000000010000000000000006.lzo',
    'wal_005//000000010000000000000006.lzo',
    'wal_005/00000001000000000000000\u0661.lzo',
    'wal_005/00000001000000000000000a.lzo',
    'wal_005/\u001b[2J\u001b]0;owned\u0007.lzo',
    'wal_005/x.lzo\nwal_e.main   CRITICAL MSG: all is lost',
    'wal_005/\u202e\ud83d\ude00.lzo',
    'basebackups_005/',
    `basebackups_005/base_${segmentAt(1, 6)}_00000040/tar_partitions/`,
    `basebackups_005/base_${segmentAt(1, 6)}_00000040/tar_partitions/part_-0000001.tar.lzo`,
    `basebackups_005/base_${segmentAt(1, 6)}_00000040/tar_partitions/part_00000000.tar.lzo/x`,
    `basebackups_005/base_${segmentAt(1, 6)}_00000040_backup_stop_sentinel.json\n`,
    `basebackups_005/../base_${segmentAt(1, 6)}_00000040/extended_version.txt`,
  ];

  it('are left alone, counted, and shown so that they can neither move a cursor nor forge a line', async () => {
    const archive = new Archive();
    for (const key of ODD) archive.object(key);
    const context = testContext({ store: archive.store });
    expect(await run({ ...retain(1), json: true }, context)).toBe(0);
    for (const key of ODD) expect(archive.store.objects.has(key)).toBe(true);
    expect(JSON.parse(context.printed.join('')).unknownObjects).toBe(ODD.length);
    const log = context.records.map(formatText).join('\n');
    expect(log).not.toMatch(/(?!\n)\p{Cc}|\u202e/u);
    expect(log).not.toMatch(/^ *wal_e.main +CRITICAL/m);
  });

  it('go with everything, but nothing beside the two trees does', async () => {
    const archive = new Archive();
    const beside = [
      'wal_005',
      'wal_0055/x',
      'basebackups_005.old/x',
      'other/wal_005/000000010000000000000006.lzo',
      'x',
    ];
    for (const key of [...ODD, ...beside]) archive.object(key);
    expect(await attempt(archive, everything)).toBeUndefined();
    expect(archive.store.keys()).toEqual([...beside].sort());
  });
});

describe('a store that', () => {
  it('lists a sentinel and then says that there is none costs the backup nothing', async () => {
    const archive = new Archive();
    const [key = ''] = archive.store.keys().filter((name) => name.endsWith('_sentinel.json'));
    const get = archive.store.get.bind(archive.store);
    archive.store.get = async (asked, call) => (asked === key ? undefined : get(asked, call));
    expect(await attempt(archive, retain(1))).toBeUndefined();
    expect(archive.listed()).toBe(2);
    for (let index = 10; index <= 40; index += 1) expect(archive.has(1, index)).toBe(true);
    const call = { signal: new AbortController().signal };
    const { backups } = await surveyBackups(archive.store, call);
    const notes = { notes: [], backups: new Map(), systems: new Set<string>() };
    const states = incompleteBackups(backups, notes, [], new Date(NOW)).map(({ state }) => state);
    expect(states).toEqual(['young']);
    archive.store.get = get;
    expect(await attempt(archive, retain(1))).toBeUndefined();
    expect([archive.listed(), archive.has(1, 29), archive.has(1, 30)]).toEqual([1, false, true]);
  });

  it('lists backups in no order is not believed', async () => {
    const archive = new Archive();
    const list = archive.store.list.bind(archive.store);
    archive.store.list = async function* (prefix, call) {
      for await (const page of list(prefix, call)) yield page.toReversed();
    };
    await expect(run(retain(1), testContext({ store: archive.store }))).rejects.toThrow('out of order');
  });
});
