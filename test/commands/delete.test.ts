import { cpSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backupLabelKey } from '../../src/archive/backup-label.ts';
import type { KnownBackup } from '../../src/archive/catalog.ts';
import {
  backupName,
  deleteNoteKey,
  partKey,
  sentinelKey,
  versionKey,
  walKey,
} from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { StoreError } from '../../src/errors.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { type BackupSketch, backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import { coldStore } from '../harness/cold-store.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentHead } from '../harness/segment.ts';

const NOTHING = 'Nothing was deleted: that takes --confirm, without --dry-run.\n';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MB = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const COMMON = { confirm: true, dryRun: false, json: false, orphansOlderThan: undefined } as const;
type Flags = Partial<{ confirm: boolean; dryRun: boolean; json: boolean; orphansOlderThan: string }>;
const retain = (count: number, flags: Flags & { days?: number } = {}): DeleteArguments => {
  const { days, ...rest } = flags;
  return { ...COMMON, verb: 'retain', count, retainDays: days, ...rest };
};
const olderThan = (name: string, flags: Flags = {}): DeleteArguments => ({
  ...COMMON,
  verb: 'before',
  name,
  ...flags,
});
const everything = (flags: Flags = {}): DeleteArguments => ({ ...COMMON, verb: 'everything', ...flags });

async function deleteIn(store: Store, args: DeleteArguments) {
  const context = testContext({ store });
  const status = await run(args, context);
  return { status, out: context.printed.join(''), records: context.records };
}

function lzop(plain: string | Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(Buffer.from(plain)), encoder.end()]);
}

/** An archive whose objects are as old as the sketches say; what nothing is said of is a month old. */
class Archive {
  readonly store = new MemoryStore();

  backup(sketch: BackupSketch): KnownBackup {
    const backup = backupOf({ at: NOW - 30 * DAY, ...sketch });
    const date = new Date(sketch.at ?? NOW - 30 * DAY);
    this.store.set(versionKey(backup.name), date, { size: 100 });
    for (const { number } of backup.parts) this.store.set(partKey(backup.name, number), date, { size: 100 });
    if (backup.reading.kind === 'read')
      this.store.set(sentinelKey(backup.name), date, {
        bytes: Buffer.from(writeSentinel(backup.reading.sentinel)),
      });
    return backup;
  }

  wal(timeline: number, first: number, last: number, at = NOW - 30 * DAY): void {
    for (let index = first; index <= last; index += 1)
      this.store.set(walKey(segmentAt(timeline, index)), new Date(at), { size: 10 });
  }

  /** Of which the header can be read. */
  segment(index: number, system: string, at: number): void {
    const name = segmentAt(1, index);
    const head = segmentHead(name, SEGMENT_BYTES, { systemIdentifier: BigInt(system) });
    this.store.set(walKey(name), new Date(at), { bytes: lzop(head) });
  }

  history(timeline: number, text: string): void {
    const name = `0000000${timeline}.history`;
    this.store.set(walKey(name), new Date(NOW - 30 * DAY), { bytes: lzop(text) });
  }

  other(key: string, at = NOW - 30 * DAY): void {
    this.store.set(key, new Date(at), { size: 1 });
  }

  segments(timeline = 1): number[] {
    const prefix = `wal_005/0000000${timeline}`;
    return this.store
      .keys()
      .filter((key) => key.startsWith(prefix) && key.length === 'wal_005/'.length + 24 + '.lzo'.length)
      .map((key) => Number.parseInt(key.slice(16, 24), 16) * 256 + Number.parseInt(key.slice(24, 32), 16));
  }

  backups(): number[] {
    return this.store
      .keys()
      .filter((key) => key.endsWith('_sentinel.json'))
      .map((key) => Number.parseInt(key.slice(37, 45), 16));
  }
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Three backups of the original on one timeline, WAL before, between and after them. */
function plain(): Archive {
  const archive = new Archive();
  for (const start of [10, 20, 30]) archive.backup({ start, at: NOW - (60 - start) * DAY });
  archive.wal(1, 5, 40);
  archive.other(walKey(`${segmentAt(1, 10)}.00000028.backup`));
  archive.other(walKey(`${segmentAt(1, 20)}.00000028.backup`));
  return archive;
}

const name = (start: number, timeline = 1) => `base_${segmentAt(timeline, start)}_00000040`;

describe("delete gives the original's result", () => {
  it('retain N keeps the N newest backups and all WAL from the oldest of them on', async () => {
    const archive = plain();
    const { status, records, out } = await deleteIn(archive.store, retain(2));
    expect(status).toBe(0);
    expect(archive.backups()).toEqual([20, 30]);
    expect(archive.segments()).toEqual(range(20, 40));
    expect(archive.store.keys().filter((key) => key.endsWith('.backup.lzo'))).toEqual([
      walKey(`${segmentAt(1, 20)}.00000028.backup`),
    ]);
    expect(records.map(({ message }) => message)).toContain('Deleting 1 oldest base backups.');
    expect(out).toMatch(/^action {2}backup .*\ndelete {2}base_00000001000000000000000A/);
    expect(out).toContain('Deleted 19 objects.');
  });

  it('retain of as many as there are, or more, still deletes what is before the oldest', async () => {
    const archive = plain();
    const { records } = await deleteIn(archive.store, retain(7));
    expect(archive.backups()).toEqual([10, 20, 30]);
    expect(archive.segments()).toEqual(range(10, 40));
    expect(records.map(({ message }) => message)).toContain('Retaining all 3 base backups.');
  });

  it('before NAME deletes what starts in an earlier segment; text after the name is ignored', async () => {
    for (const text of [name(20), `${name(20)}_backup_stop_sentinel.json`, name(20).slice(0, 29)]) {
      const archive = plain();
      await deleteIn(archive.store, olderThan(text));
      expect(archive.backups()).toEqual([20, 30]);
      expect(archive.segments()).toEqual(range(20, 40));
    }
  });

  it('before SEGMENT does what the help of the original promises', async () => {
    const archive = plain();
    await deleteIn(archive.store, olderThan(segmentAt(1, 15)));
    expect(archive.backups()).toEqual([20, 30]);
    expect(archive.segments()).toEqual(range(15, 40));
  });

  it('two backups that start in one segment stand or fall together', async () => {
    const archive = plain();
    archive.backup({ start: 20, offset: 900, at: NOW - 39 * DAY });
    await deleteIn(archive.store, retain(2));
    expect(archive.backups()).toEqual([20, 20, 30]);
  });

  it('history files are always kept, partial segments and unknown keys are left alone and counted', async () => {
    const archive = plain();
    archive.history(2, '1\t0/28000000\tx\n');
    const strange = [
      walKey(`${segmentAt(1, 6)}.partial`),
      'wal_005/notes.lzo',
      'wal_005/000000010000000000000006.lz4',
      'basebackups_005/README',
      `basebackups_005/${name(10)}/tar_partitions/deeper/part_00000000.tar.lzo`,
      'elsewhere/000000010000000000000006.lzo',
    ];
    for (const key of strange) archive.other(key);
    const { out, records } = await deleteIn(archive.store, retain(1));
    expect(archive.store.keys()).toEqual(expect.arrayContaining([...strange, walKey('00000002.history')]));
    expect(out).toContain('Left alone: 5 objects that WAL-E does not know, 1 of them beside its two trees\n');
    expect(records.filter(({ message }) => message.startsWith('skipping non-qualifying key'))).toHaveLength(
      4,
    );
  });

  it('tells what else is under the prefix, and what of it there may be more of', async () => {
    const archive = plain();
    for (const folder of ['a', 'b', 'c', 'd', 'e', 'f\n']) archive.other(`${folder}/wal_005/x`);
    archive.other('wal_003/x');
    const before = archive.store.keys().filter((key) => !/^(wal|basebackups)_005/.test(key));
    const { out } = await deleteIn(archive.store, retain(1));
    expect(out).toContain(
      'Left alone, not counted: 6 other archives under this prefix: a/, b/, c/, d/, e/ and 1 more\n' +
        'Left alone, not counted: older layouts, which old-versions deletes: wal_003/\n',
    );
    expect(out).not.toContain('There may be more');
    expect(archive.store.keys()).toEqual(expect.arrayContaining(before));
    const list = archive.store.list.bind(archive.store);
    archive.store.list = async function* (prefix, options) {
      if (prefix === '') throw new StoreError('refused', { detail: 'by policy', transient: false });
      yield* list(prefix, options);
    };
    const again = await deleteIn(archive.store, everything());
    expect(again.status).toBe(0);
    expect(again.out).toContain('There may be more beside the two trees: by policy\n');
    expect(archive.store.keys()).toEqual(before);
  });

  it('does not look beside the trees when nobody will read of it', async () => {
    const archive = plain();
    const asked: string[] = [];
    const list = archive.store.list.bind(archive.store);
    archive.store.list = (prefix, options) => {
      asked.push(prefix);
      return list(prefix, options);
    };
    await run(retain(2), testContext({ store: archive.store, options: { terse: true } }));
    expect(asked).not.toContain('');
    await run(retain(1), testContext({ store: archive.store }));
    expect(asked.filter((prefix) => prefix === '')).toHaveLength(1);
  });

  it('[del-15] says of an unknown key what is odd about it', async () => {
    const archive = plain();
    const odd: readonly [string, string][] = [
      ['wal_005/notes', 'not to match the WAL file naming pattern'],
      ['wal_005/deeper/x', 'to be at an unexpected depth'],
      ['basebackups_005/README', 'not to match the base-backup sentinel pattern'],
      ['basebackups_005/x/notes', 'not to match the extended-version backup pattern'],
      ['basebackups_005/x/y/notes', 'not to match the base-backup partition pattern'],
      ['basebackups_005/x/y/z/notes', 'to be at an unexpected depth'],
    ];
    for (const [key] of odd) archive.other(key);
    const { records } = await deleteIn(archive.store, retain(1));
    const warnings = records.filter(({ level }) => level === 'WARNING');
    expect(warnings.map(({ message, detail }) => [message, detail]).sort()).toEqual(
      odd
        .map(([key, reason]) => [
          "skipping non-qualifying key in 'delete before'",
          `The unexpected key is "memory://test/${key}", and it appears ${reason}.`,
        ])
        .sort(),
    );
    expect(new Set(warnings.map(({ hint }) => hint))).toEqual(
      new Set([
        'This means an unexpected key was found in a WAL-E prefix.  It can be harmless, or the result a bug or misconfiguration.',
      ]),
    );
  });

  it('everything deletes what it has seen of strangers, also what is newer than all backups and WAL', async () => {
    const archive = plain();
    archive.other('basebackups_005/README', NOW - HOUR);
    const { out } = await deleteIn(archive.store, everything({ json: true }));
    const { objectsToDelete, result } = JSON.parse(out);
    expect(archive.store.keys()).toEqual([]);
    expect(result.deleted).toBe(objectsToDelete);
    archive.other('basebackups_005/README', NOW - HOUR);
    await deleteIn(archive.store, everything());
    expect(archive.store.keys()).toEqual([]);
  });

  it('everything deletes all keys of both trees, known or not, and nothing else', async () => {
    const archive = plain();
    archive.history(2, '1\t0/28000000\tx\n');
    for (const key of ['wal_005/x', 'basebackups_005/x/y', 'wal_004/x', 'x']) archive.other(key);
    await deleteIn(archive.store, everything());
    expect(archive.store.keys()).toEqual(['wal_004/x', 'x']);
  });

  it('old-versions deletes the trees of older layouts only, which the original never managed to', async () => {
    const archive = plain();
    const count = archive.store.keys().length;
    for (const key of ['wal_004/x.lzo', 'wal_000/x', 'basebackups_003/base/a']) archive.other(key);
    const dry = await deleteIn(archive.store, { ...COMMON, verb: 'old-versions', confirm: false });
    expect(dry.records.filter(({ message }) => message.startsWith('deleting part of'))).toHaveLength(3);
    expect(dry.out).toBe(
      [
        'action  older layout      objects  size',
        'delete  wal_000/                1   1 B',
        'delete  basebackups_003/        1   1 B',
        'delete  wal_004/                1   1 B',
        'Would be deleted: 3 trees: 3 objects, 3 B',
        NOTHING,
      ].join('\n'),
    );
    expect(archive.store.keys()).toHaveLength(count + 3);
    for (const age of [HOUR, 8 * DAY])
      archive.store.uploads.push({ key: 'wal_004/y', started: new Date(NOW - age), id: `${age}` });
    const { out } = await deleteIn(archive.store, { ...COMMON, verb: 'old-versions', json: true });
    const report = JSON.parse(out);
    expect(report).toEqual({
      dryRun: false,
      trees: ['wal_000/', 'basebackups_003/', 'wal_004/'].map((tree) => ({ tree, objects: 1, bytes: 1 })),
      leftovers: 1,
      objectsToDelete: 4,
      bytesToDelete: 3,
      keepsVersions: false,
      result: { deleted: 4, failed: 0, failures: [] },
    });
    const page = readFileSync(new URL('../../docs/delete.md', import.meta.url), 'utf8');
    const section = page.slice(page.indexOf('Of `old-versions`'));
    for (const field of [report, report.trees[0]].flatMap(Object.keys))
      expect(section).toContain(`\`${field}\``);
    const none = await deleteIn(archive.store, { ...COMMON, verb: 'old-versions', confirm: false });
    expect(none.out).toBe(`Would be deleted: 0 trees: 0 objects, 0 B\n${NOTHING}`);
    expect(archive.store.keys()).toHaveLength(count);
    expect(archive.store.uploads.map(({ id }) => id)).toEqual([`${HOUR}`]);
  });

  it('writes no note where nothing is to be deleted', async () => {
    const archive = new Archive();
    archive.backup({ start: 10 });
    archive.store.put = async () => {
      throw new Error('written to');
    };
    expect((await deleteIn(archive.store, retain(1))).status).toBe(0);
  });

  it('an empty archive has nothing to delete, and says so', async () => {
    const archive = new Archive();
    archive.wal(1, 1, 3);
    const { status, records } = await deleteIn(archive.store, retain(1));
    expect(status).toBe(0);
    expect(archive.segments()).toEqual([1, 2, 3]);
    expect(records).toContainEqual(
      expect.objectContaining({ message: 'Not deleting any data.', detail: 'No existing base backups.' }),
    );
  });
});

describe('a dry run', () => {
  it.each([
    ['neither flag is given', { confirm: false }],
    ['both flags are given', { confirm: true, dryRun: true }],
  ])('is what happens when %s: every key is told with the hint, and stays', async (_when, flags) => {
    const archive = plain();
    const keys = archive.store.keys();
    const { status, records, out } = await deleteIn(archive.store, retain(1, flags));
    expect(status).toBe(0);
    expect(archive.store.keys()).toEqual(keys);
    expect(records[0]?.message).toBe('performing dry run of data deletion');
    const told = records.filter(({ message }) => message.startsWith('deleting a'));
    expect(new Set(told.map(({ hint }) => hint))).toEqual(
      new Set(['This is only a dry run -- no actual data is being deleted']),
    );
    const count = (thing: string) => told.filter(({ message }) => message === `deleting ${thing}`).length;
    expect(count('a base backup sentinel file')).toBe(2);
    expect(count('a extended version metadata file')).toBe(2);
    expect(count('a base backup volume')).toBe(2);
    expect(count('a wal file')).toBe(25);
    expect(count('a backup history file')).toBe(2);
    expect(out).toMatch(/Would be deleted: 2 backups, 27 WAL files: 33 objects, /);
    expect(out.endsWith(NOTHING)).toBe(true);
  });
});

describe('delete on a golden archive', () => {
  const golden = (archive: string) => {
    const folder = createScratch();
    const source = fileURLToPath(new URL(`../../fixtures/golden/${archive}/archive`, import.meta.url));
    cpSync(source, folder, { recursive: true });
    return { folder, store: createFileStore(folder) };
  };
  const walIn = (folder: string) => readdirSync(join(folder, 'wal_005')).sort();

  it.each(['seg1', 'gpg'])('(%s) deletes the WAL before the backup, and nothing else', async (archive) => {
    const { folder, store } = golden(archive);
    const all = walIn(folder);
    const { status, out } = await deleteIn(store, retain(1));
    expect(status).toBe(0);
    expect(walIn(folder)).toEqual(all.filter((file) => file !== '00000001000000000000000A.lzo'));
    expect(readdirSync(join(folder, 'basebackups_005'))).toHaveLength(2);
    expect(out).toContain(archive === 'seg1' ? '1 MB (read from a segment)' : 'keep');
    await store.close();
  });

  it('deletes everything', async () => {
    const { folder, store } = golden('seg1');
    await deleteIn(store, everything());
    expect(readdirSync(folder, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())).toEqual(
      [],
    );
    await store.close();
  });
});

describe('delete refuses, and deletes nothing:', () => {
  const refuses = async (archive: Archive, args: DeleteArguments, message: string | RegExp) => {
    const keys = archive.store.keys();
    await expect(deleteIn(archive.store, args)).rejects.toThrow(message);
    expect(archive.store.keys()).toEqual(keys);
  };

  it.each([0, -1])('to retain %d backups', (count) =>
    refuses(plain(), retain(count), `cannot retain ${count}`),
  );

  it('an age that is none', () =>
    refuses(plain(), retain(1, { orphansOlderThan: 'old' }), 'argument --orphans-older-than'));

  it('[del-17] a name that matches nothing', () =>
    refuses(plain(), olderThan(name(11)), 'no backup or WAL segment matches'));

  it('a name that matches several', () =>
    refuses(plain(), olderThan('base_0000000100000000'), '3 backups match "base_0000000100000000"'));

  it('the name of a backup without a sentinel', async () => {
    const archive = plain();
    archive.backup({ start: 25, complete: false });
    await refuses(archive, olderThan(name(25)), 'is not complete');
  });

  it('a segment that the archive does not hold', () =>
    refuses(
      plain(),
      olderThan(segmentAt(1, 41)),
      'the archive holds no WAL segment 000000010000000000000029',
    ));

  it('a segment after the last backup, since no backup would be left', () =>
    refuses(plain(), olderThan(segmentAt(1, 35)), 'no backup would be left'));

  it('to keep only backups that cannot be restored', async () => {
    const archive = plain();
    archive.store.objects.delete(partKey(backupOf({ start: 30 }).name, 0));
    await refuses(archive, retain(1), 'no backup that can be restored would be left');
  });

  it('to keep only a broken backup where others can be brought back from cold storage, sentinels and all', async () => {
    const archive = plain();
    archive.store.objects.delete(partKey(backupOf({ start: 30 }).name, 0));
    const cold = [10, 20].map((start): string => sentinelKey(backupOf({ start }).name));
    const keys = archive.store.keys();
    const store = coldStore(archive.store, (key) => cold.includes(key));
    await expect(deleteIn(store, retain(1))).rejects.toMatchObject({
      message: 'no backup that can be restored would be left',
      detail: expect.stringContaining(
        `${name(20)} can, once it is brought back from cold storage, and would`,
      ),
    });
    expect(archive.store.keys()).toEqual(keys);
  });

  it('a segment where the archive holds two systems', async () => {
    const archive = plain();
    archive.backup({ start: 12, system: '71', at: NOW - DAY });
    archive.backup({ start: 13, system: '72', at: NOW - DAY });
    await refuses(archive, olderThan(segmentAt(1, 15)), 'does not say which system');
  });

  it('dates that contradict positions, in words', async () => {
    const archive = plain();
    archive.backup({ start: 3, at: NOW - DAY });
    await refuses(archive, retain(2), 'cannot tell which backups are older');
    await refuses(archive, olderThan(name(20)), 'cannot tell which backups are older');
  });
});

it('an archive whose sentinels are all in cold storage loses its old backups as any other', async () => {
  const archive = plain();
  await deleteIn(
    coldStore(archive.store, (key) => key.endsWith('_sentinel.json')),
    retain(1),
  );
  expect(archive.backups()).toEqual([30]);
  expect(archive.segments()).toEqual(range(30, 40));
});

describe('what a copied archive', () => {
  it('has lost in dates is found in the label files', async () => {
    const archive = new Archive();
    for (const start of [10, 20, 30]) {
      const backup = archive.backup({ start, at: NOW - start * HOUR });
      const key = backupLabelKey(backup.name) ?? '';
      const time = `2026-01-${start}T00:00:00+00:00`;
      archive.store.set(key, new Date(NOW - HOUR), { bytes: lzop(`LABEL: freeze_start_${time}\n`) });
    }
    archive.wal(1, 5, 40, NOW - HOUR);
    const { out } = await deleteIn(archive.store, retain(1));
    expect(archive.backups()).toEqual([30]);
    expect(archive.segments()).toEqual(range(30, 40));
    expect(out).toContain('2026-01-30T00:00:00.000Z');
  });
});

describe('timelines', () => {
  it('that branch from a kept backup keep their WAL, whatever its numbers', async () => {
    const archive = new Archive();
    archive.backup({ start: 10, at: NOW - 50 * DAY });
    archive.backup({ start: 20, at: NOW - 40 * DAY });
    archive.backup({ timeline: 2, start: 15, at: NOW - 20 * DAY });
    archive.history(2, '1\t0/C000000\tx\n');
    archive.wal(1, 8, 40);
    archive.wal(2, 12, 30);
    await deleteIn(archive.store, retain(2));
    expect(archive.segments(1)).toEqual(range(20, 40));
    expect(archive.segments(2)).toEqual(range(15, 30));
  });

  it('that leave in the very segment in which a kept backup starts are reached from it', async () => {
    const archive = new Archive();
    archive.backup({ start: 12, at: NOW - 50 * DAY });
    archive.backup({ timeline: 2, start: 20, at: NOW - 20 * DAY });
    archive.history(2, '1\t0/C800000\tx\n');
    archive.wal(1, 8, 16);
    archive.wal(2, 12, 30);
    await deleteIn(archive.store, retain(2));
    expect(archive.segments(1)).toEqual(range(12, 16));
    expect(archive.segments(2)).toEqual(range(12, 30));
  });

  it('keep their WAL where another system replaced their history, but that of a later one leads through them', async () => {
    const archive = new Archive();
    archive.backup({ start: 20, at: NOW - 30 * DAY });
    archive.backup({ timeline: 3, start: 45, at: NOW - 20 * DAY });
    archive.history(2, '1\t0/5000000\tanother system\n');
    archive.history(3, '1\t0/1E000000\tx\n2\t0/28000000\tx\n');
    archive.wal(1, 20, 30);
    archive.wal(2, 30, 40);
    archive.wal(3, 40, 50);
    const keys = archive.store.keys();
    await deleteIn(archive.store, retain(2));
    expect(archive.store.keys()).toEqual(keys);
  });

  it('keep their WAL also where no backup lies on the later one, which is met after that WAL', async () => {
    const archive = new Archive();
    archive.backup({ start: 20, at: NOW - 30 * DAY });
    archive.backup({ timeline: 2, start: 37, at: NOW - 20 * DAY });
    archive.history(2, '1\t0/5000000\tanother system\n');
    archive.history(3, '1\t0/1E000000\tx\n2\t0/28000000\tx\n');
    archive.wal(1, 10, 30);
    archive.wal(2, 30, 40);
    archive.wal(3, 40, 50);
    const { status } = await deleteIn(archive.store, retain(2));
    expect(status).toBe(0);
    expect(archive.segments(1)).toEqual(range(20, 30));
    expect(archive.segments(2)).toEqual(range(30, 40));
    expect(archive.segments(3)).toEqual(range(40, 50));
  });

  it('that nobody needs go when they are below all that is kept, unless a server may be writing them', async () => {
    const archive = plain();
    archive.history(2, '1\t0/6000000\tx\n');
    archive.wal(2, 6, 9);
    archive.history(3, '1\t0/6000000\tx\n');
    archive.wal(3, 6, 9, NOW - HOUR);
    const { out } = await deleteIn(archive.store, retain(1));
    expect(archive.segments(2)).toEqual([]);
    expect(archive.segments(3)).toEqual(range(6, 9));
    expect(out).toContain('Left alone: 4 WAL files that no kept backup leads to');
  });

  it('that nobody needs stay while a server may be writing them, also where the newest backup is newer', async () => {
    const archive = plain();
    archive.backup({ start: 40, at: NOW - HOUR / 2 });
    for (const [timeline, age] of [
      [2, 8 * DAY],
      [3, 6 * DAY],
    ] as const) {
      archive.history(timeline, '1\t0/6000000\tx\n');
      archive.wal(timeline, 7, 9, NOW - age);
    }
    await deleteIn(archive.store, retain(1));
    expect([archive.segments(2), archive.segments(3)]).toEqual([[], range(7, 9)]);
  });

  it('lie behind a backup whose own history is missing, however new their WAL is', async () => {
    const archive = new Archive();
    archive.backup({ timeline: 2, start: 30, at: NOW - HOUR });
    archive.wal(1, 5, 35, NOW - 2 * HOUR);
    archive.wal(2, 28, 35, NOW - 2 * HOUR);
    await deleteIn(archive.store, retain(1));
    expect(archive.segments(1)).toEqual(range(30, 35));
    expect(archive.segments(2)).toEqual(range(30, 35));
  });

  it('whose history cannot be read keep all WAL that could come from a kept backup, and it is said', async () => {
    const archive = plain();
    archive.backup({ timeline: 2, start: 40, at: NOW - 5 * DAY });
    archive.store.set(walKey('00000002.history'), new Date(NOW), { bytes: Buffer.from('not lzop') });
    archive.wal(2, 12, 45);
    const { records } = await deleteIn(archive.store, retain(2));
    expect(archive.segments(2)).toEqual(range(30, 45));
    expect(records.map(({ message }) => message)).toContain(
      'a timeline history cannot be read, so more WAL is kept',
    );
  });
});

describe('a backup that the original took of a stopped server, named after the wrong segment', () => {
  /** It starts in segment 5, is named after 0x50, and was followed by one of the running server in segment 32. */
  const misnamed = (archive: Archive, at: number, timeline = 1) =>
    archive.backup({ timeline, start: 0x50, offset: 50, stopOffset: '00000050', at });
  const stopped = () => {
    const archive = new Archive();
    misnamed(archive, NOW - 50 * DAY);
    archive.backup({ start: 32, at: NOW - 40 * DAY });
    archive.wal(1, 3, 40);
    return archive;
  };

  it('keeps the WAL that it needs, is known to be restorable, and contradicts no date', async () => {
    const archive = stopped();
    const { out } = await deleteIn(archive.store, retain(2));
    expect(archive.segments()).toEqual(range(3, 40));
    expect(out.match(/ {2}yes {2}/g)).toHaveLength(2);
  });

  it('goes when it is the older one, although its number is the higher one', async () => {
    for (const args of [retain(1), olderThan(name(32))]) {
      const archive = stopped();
      await deleteIn(archive.store, args);
      expect(archive.backups()).toEqual([32]);
      expect(archive.segments()).toEqual(range(32, 40));
    }
  });

  it('does not make those older that are newer, when it is named', async () => {
    const archive = stopped();
    archive.backup({ start: 4, at: NOW - 60 * DAY });
    await deleteIn(archive.store, olderThan(`base_${segmentAt(1, 0x50)}_00000050`));
    expect(archive.backups()).toEqual([32, 0x50]);
    expect(archive.segments()).toEqual(range(3, 40));
  });

  it('keeps all WAL from where it may start on, when it is named: also what no kept backup needs', async () => {
    const archive = new Archive();
    archive.history(2, '1\t0/3000000\tx\n');
    archive.history(3, '1\t0/1E000000\tx\n');
    misnamed(archive, NOW - 50 * DAY, 2);
    archive.backup({ timeline: 3, start: 32, at: NOW - 40 * DAY });
    archive.wal(1, 3, 30);
    archive.wal(2, 3, 20);
    archive.wal(3, 30, 40);
    const keys = archive.store.keys();
    await deleteIn(archive.store, olderThan(`base_${segmentAt(2, 0x50)}_00000050`));
    expect(archive.store.keys()).toEqual(keys);
  });

  it('stays when a segment is named: where it starts nobody knows', async () => {
    const archive = stopped();
    await deleteIn(archive.store, olderThan(segmentAt(1, 30)));
    expect(archive.backups()).toEqual([32, 0x50]);
    expect(archive.segments()).toEqual(range(3, 40));
  });

  it('spells its timeline in decimal: it keeps the WAL of both that it can mean', async () => {
    const archive = new Archive();
    misnamed(archive, NOW - 50 * DAY, 0x10);
    archive.backup({ timeline: 10, start: 32, at: NOW - 40 * DAY });
    for (const timeline of [10, 16]) archive.wal(timeline, 3, 40);
    await deleteIn(archive.store, retain(2));
    for (const timeline of [10, 16])
      for (const index of range(3, 40))
        expect(archive.store.objects.has(walKey(segmentAt(timeline, index)))).toBe(true);
  });

  it('keeps its WAL, too, when its sentinel cannot be read', async () => {
    const archive = stopped();
    const key = sentinelKey(misnamed(archive, NOW - 50 * DAY).name);
    archive.store.set(key, new Date(NOW - 50 * DAY), { bytes: Buffer.from('{') });
    await deleteIn(archive.store, retain(2));
    expect(archive.segments()).toEqual(range(3, 40));
  });

  it('keeps its WAL, too, when the store does not let it go', async () => {
    const archive = stopped();
    archive.store.stubborn.add(sentinelKey(backupOf({ start: 0x50, offset: 50 }).name));
    expect((await deleteIn(archive.store, retain(1))).status).toBe(1);
    expect(archive.backups()).toEqual([32, 0x50]);
    expect(archive.segments()).toEqual(range(3, 40));
  });

  it('keeps its WAL while it is being made, and nothing tells yet whose it is', async () => {
    const archive = new Archive();
    archive.backup({ start: 10, at: NOW - 40 * DAY });
    archive.wal(1, 3, 20);
    archive.backup({ start: 0x250, offset: 50, at: NOW - HOUR, complete: false });
    archive.wal(1, 0x1f0, 0x220, NOW - 2 * HOUR);
    await deleteIn(archive.store, everything());
    expect(archive.segments()).toEqual(range(0x200, 0x220));
    const [only] = archive.store.keys().filter((key) => key.startsWith('basebackups_005/'));
    archive.store.uploads.push({ key: String(only), started: new Date(NOW - HOUR), id: '1' });
    archive.store.objects.delete(String(only));
    await deleteIn(archive.store, everything());
    expect(archive.segments()).toEqual(range(0x200, 0x220));
  });

  it('says nothing of the size of segments by its number', async () => {
    const archive = new Archive();
    misnamed(archive, NOW - 50 * DAY);
    // Segments of 64 MB: 64 of them in a log.
    const segment = (index: number) => segmentName(1, BigInt(index * 64 * MB), 64 * MB);
    const plain = lzop(segmentHead(segment(62), 64 * MB));
    for (const index of range(1, 70))
      archive.store.set(walKey(segment(index)), new Date(NOW - 45 * DAY), { bytes: plain });
    const later = backupName(segment(62), 40);
    const at = new Date(NOW - 40 * DAY);
    for (const key of [versionKey(later), partKey(later, 0)]) archive.store.set(key, at, { size: 100 });
    const sentinel = { stopSegment: segment(66), stopOffset: '00000256', expandedSizeBytes: 1 };
    archive.store.set(sentinelKey(later), at, {
      bytes: Buffer.from(writeSentinel({ ...sentinel, spec: undefined, own: undefined })),
    });
    const { out } = await deleteIn(archive.store, retain(2));
    expect(out).toContain('WAL segment size: 64 MB (read from a segment)');
    expect(out).toContain(`timeline 1, ${segment(1)} to ${segment(70)} (70 segments)`);
    expect(out.match(/ {2}yes {2}/g)).toHaveLength(2);
  });

  it('is no reason to refuse where the label files confirm the dates of backups on branches', async () => {
    const archive = stopped();
    const branched = archive.backup({ timeline: 2, start: 36, at: NOW - 38 * DAY });
    const newest = archive.backup({ start: 40, at: NOW - 30 * DAY });
    archive.history(2, '1\t0/23000000\tx\n');
    archive.wal(2, 35, 45);
    for (const [backup, days] of [
      [branched, 38],
      [newest, 30],
    ] as const) {
      const text = `LABEL: freeze_start_${new Date(NOW - days * DAY).toISOString().slice(0, 19)}+00:00\n`;
      archive.store.set(backupLabelKey(backup.name) ?? '', new Date(NOW - days * DAY), { bytes: lzop(text) });
    }
    archive.backup({ timeline: 2, start: 41, at: NOW - 35 * DAY });
    await deleteIn(archive.store, retain(3));
    expect(archive.backups()).toEqual([40, 36, 41]);
  });

  it('is refused in a copied archive, whose dates tell nothing of it', async () => {
    const archive = new Archive();
    misnamed(archive, NOW - HOUR);
    for (const start of [10, 20]) {
      const backup = archive.backup({ start, at: NOW - start * HOUR });
      const text = `LABEL: freeze_start_2026-01-${start}T00:00:00+00:00\n`;
      archive.store.set(backupLabelKey(backup.name) ?? '', new Date(NOW - HOUR), { bytes: lzop(text) });
    }
    archive.wal(1, 3, 40, NOW - HOUR);
    await expect(deleteIn(archive.store, retain(1))).rejects.toThrow('cannot tell which backups are older');
    await deleteIn(archive.store, everything());
    expect(archive.store.keys()).toEqual([]);
  });
});

describe('two systems under one prefix', () => {
  const upgraded = () => {
    const archive = new Archive();
    for (const start of [100, 110])
      archive.backup({
        start,
        system: '71',
        at: NOW - (200 - start) * DAY,
        finished: NOW - (200 - start) * DAY,
      });
    for (const index of range(95, 120)) archive.segment(index, '71', NOW - 80 * DAY);
    for (const start of [5, 9]) archive.backup({ start, system: '72', at: NOW - (20 - start) * DAY });
    for (const index of range(2, 12)) archive.segment(index, '72', NOW - 10 * DAY);
    return archive;
  };

  it.each([
    ['backups that state their system', '7000000000000000001', '7000000000000000002', []],
    ['backups of the original, by their WAL', undefined, '7000000000000000002', []],
    ['the same system that was copied', '7000000000000000001', '7000000000000000001', range(5, 9)],
    ['the same system, by its WAL', undefined, '7000000000000000001', range(5, 9)],
  ])('the second without a backup yet, beside %s: its WAL stays while it is young', async (...given) => {
    const [, system, other, gone] = given;
    const archive = new Archive();
    const sketch = system === undefined ? {} : { system };
    for (const start of [100, 110]) archive.backup({ start, at: NOW - (112 - start) * DAY, ...sketch });
    archive.wal(1, 95, 120, NOW - 13 * DAY);
    archive.segment(110, '7000000000000000001', NOW - 2 * DAY);
    archive.wal(1, 2, 4, NOW - 8 * DAY);
    for (const index of range(5, 9)) archive.segment(index, other, NOW - HOUR);
    archive.store.uploads.push({ key: walKey(segmentAt(1, 10)), started: new Date(NOW), id: 'begun' });
    const { records } = await deleteIn(archive.store, retain(1));
    expect(archive.segments()).toEqual([
      ...range(5, 9).filter((index) => !gone.includes(index)),
      ...range(110, 120),
    ]);
    const told = records.some(({ message }) => message.startsWith('keeping WAL that another server'));
    expect(told).toBe(gone.length === 0);
    await deleteIn(archive.store, { ...retain(1), orphansOlderThan: '0' });
    expect(archive.segments()).toEqual(range(110, 120));
  });

  it('of which the second shows neither a backup nor what it is: dates that contradict the numbers tell', async () => {
    const archive = new Archive();
    for (const start of [100, 110]) archive.backup({ start, system: '71', at: NOW - (112 - start) * DAY });
    archive.wal(1, 95, 120, NOW - 13 * DAY);
    archive.wal(1, 5, 9, NOW - HOUR);
    await deleteIn(archive.store, retain(1));
    expect(archive.segments()).toEqual([...range(5, 9), ...range(110, 120)]);
  });

  it('of which only the original has backups, which state none: refused when numbers start again, and why', async () => {
    const archive = new Archive();
    for (const start of [100, 110]) archive.backup({ start, at: NOW - (200 - start) * DAY });
    for (const start of [5, 9]) archive.backup({ start, at: NOW - (20 - start) * DAY });
    archive.wal(1, 2, 120);
    const keys = archive.store.keys();
    for (const args of [retain(2), retain(4), olderThan(name(5)), olderThan(name(110))])
      await expect(deleteIn(archive.store, args)).rejects.toMatchObject({
        message: 'cannot tell which backups are older',
        detail: expect.stringMatching(
          /^base_0{7}10{15}9_00000040 comes first by its WAL position, and base_0{7}10{14}64_00000040 by time \(/,
        ),
        hint: expect.stringMatching(/^Nothing was deleted\. .* a prefix of its own\.$/),
      });
    expect(archive.store.keys()).toEqual(keys);
  });

  it('retain keeps the newest by time, and the old WAL goes although its numbers are higher', async () => {
    const archive = upgraded();
    await deleteIn(archive.store, retain(2));
    expect(archive.backups()).toEqual([5, 9]);
    expect(archive.segments()).toEqual(range(5, 12));
  });

  it('before NAME of the new system deletes the backups of the old one', async () => {
    const archive = upgraded();
    await deleteIn(archive.store, olderThan(name(5)));
    expect(archive.backups()).toEqual([5, 9]);
  });

  it('WAL that seems to be archived less than a day before its backup began may be its own', async () => {
    const archive = upgraded();
    archive.segment(9, '72', NOW - 11 * DAY - 23 * HOUR);
    archive.segment(10, '71', NOW - 12 * DAY - HOUR);
    await deleteIn(archive.store, retain(1));
    expect(archive.backups()).toEqual([9]);
    expect(archive.segments()).toEqual([9, 11, 12]);
  });

  it('a kept backup of the old system keeps its WAL', async () => {
    const archive = upgraded();
    await deleteIn(archive.store, retain(3));
    expect(archive.backups()).toEqual([5, 9, 110]);
    expect(archive.segments()).toEqual([...range(5, 12), ...range(110, 120)]);
  });
});

describe('--retain-days', () => {
  const daily = () => {
    const archive = new Archive();
    for (const start of range(1, 9)) archive.backup({ start, at: NOW - (10 - start) * DAY });
    archive.wal(1, 1, 20);
    return archive;
  };

  it('keeps what is needed to go back so many days, with the count', async () => {
    const archive = daily();
    const { out } = await deleteIn(archive.store, retain(2, { days: 4 }));
    // The backup of four days ago leads into the window.
    expect(archive.backups()).toEqual([6, 7, 8, 9]);
    expect(archive.segments()).toEqual(range(6, 20));
    expect(out).toContain('needed to cover the last 4 days');
  });

  it('never deletes what the count keeps', async () => {
    const archive = daily();
    await deleteIn(archive.store, retain(6, { days: 1 }));
    expect(archive.backups()).toEqual(range(4, 9));
  });
});

describe('a backup without a sentinel', () => {
  it('that is young may be being made, and is kept with the WAL it needs', async () => {
    const archive = plain();
    archive.backup({ start: 12, complete: false, at: NOW - HOUR });
    await deleteIn(archive.store, retain(1));
    expect(archive.segments()).toEqual(range(12, 40));
    expect(archive.store.keys()).toContain(versionKey(backupOf({ start: 12 }).name));
  });

  it('is no reason to delete what is before it where no other backup is', async () => {
    const archive = new Archive();
    archive.backup({ start: 12, complete: false, at: NOW - HOUR });
    archive.wal(1, 5, 20);
    for (const args of [retain(1), retain(1, { orphansOlderThan: '30m' })]) {
      await deleteIn(archive.store, args);
      expect(archive.segments()).toEqual(range(5, 20));
    }
  });

  it('of which only an upload is under way counts too', async () => {
    const archive = plain();
    const key = partKey(backupOf({ start: 12 }).name, 0);
    archive.store.uploads.push({ key, started: new Date(NOW - HOUR), id: '1' });
    await deleteIn(archive.store, retain(1));
    expect(archive.segments()).toEqual(range(12, 40));
    expect(archive.store.uploads).toHaveLength(1);
  });

  it.each([
    ['retain', retain(1)],
    ['everything', everything()],
  ])('that seems old stays while a part of it is under way: %s', async (_verb, args) => {
    const archive = plain();
    const { name: slow } = archive.backup({ start: 12, complete: false, at: NOW - 8 * DAY });
    archive.store.uploads.push({ key: partKey(slow, 1), started: new Date(NOW - HOUR), id: '1' });
    await deleteIn(archive.store, args);
    expect(archive.store.keys()).toEqual(expect.arrayContaining([versionKey(slow), partKey(slow, 0)]));
    expect(archive.segments()).toEqual(range(12, 40));
    expect(archive.store.uploads).toHaveLength(1);
  });

  it('that is young keeps also an upload that was begun long ago: a part may take long', async () => {
    const archive = plain();
    const { name: slow } = archive.backup({ start: 12, complete: false, at: NOW - HOUR });
    archive.store.uploads.push({ key: partKey(slow, 1), started: new Date(NOW - 8 * DAY), id: '1' });
    await deleteIn(archive.store, retain(1));
    expect(archive.store.uploads).toHaveLength(1);
  });

  it('[del-19] that is old goes when it falls before what is kept, and stays when not', async () => {
    const archive = plain();
    archive.backup({ start: 12, complete: false, at: NOW - 8 * DAY });
    archive.backup({ start: 35, complete: false, at: NOW - 8 * DAY });
    await deleteIn(archive.store, retain(1));
    expect(archive.store.keys()).not.toContain(versionKey(backupOf({ start: 12 }).name));
    expect(archive.store.keys()).toContain(versionKey(backupOf({ start: 35 }).name));
    expect(archive.segments()).toEqual(range(30, 40));
  });

  it('is young or old by --orphans-older-than', async () => {
    const archive = plain();
    archive.backup({ start: 12, complete: false, at: NOW - HOUR });
    await deleteIn(archive.store, retain(1, { orphansOlderThan: '30m' }));
    expect(archive.segments()).toEqual(range(30, 40));
  });

  it.each(['99999999', '999999999d', '999999999h'])(
    'is young whatever its age when orphans older than %s go',
    async (age) => {
      const archive = plain();
      archive.backup({ start: 12, complete: false, at: NOW - 800 * DAY });
      archive.store.uploads.push({ key: walKey(segmentAt(1, 39)), started: new Date(0), id: '1' });
      const before = archive.store.keys().filter((key) => key.includes(backupOf({ start: 12 }).name));
      await deleteIn(archive.store, retain(1, { orphansOlderThan: age }));
      await deleteIn(archive.store, everything({ orphansOlderThan: age }));
      expect(archive.store.keys()).toEqual(expect.arrayContaining(before));
      expect(archive.segments()).toEqual(range(12, 40));
      expect(archive.store.uploads).toHaveLength(1);
    },
  );

  it('survives even everything while it is young', async () => {
    const archive = plain();
    archive.history(2, '1\t0/28000000\tx\n');
    archive.history(3, '1\t0/6000000\tx\n');
    archive.wal(3, 6, 45);
    archive.backup({ start: 32, complete: false, at: NOW - HOUR });
    const { records } = await deleteIn(archive.store, everything());
    expect(archive.backups()).toEqual([]);
    expect(archive.segments(3)).toEqual([]);
    expect(archive.segments()).toEqual(range(32, 40));
    expect(archive.store.keys()).toContain(walKey('00000002.history'));
    expect(records.map(({ hint }) => hint)).toContain(
      'If no backup is running, delete it too with --orphans-older-than 0.',
    );
    await deleteIn(archive.store, everything({ orphansOlderThan: '0' }));
    expect(archive.store.keys()).toEqual([]);
  });

  it.each(['', `_D_${segmentAt(1, 11)}`, `_D_${segmentAt(1, 11)}_00000040`])(
    'that another tool calls complete keeps its WAL: base_…%s',
    async (suffix) => {
      const archive = plain();
      archive.other(`basebackups_005/base_${segmentAt(1, 14)}${suffix}_backup_stop_sentinel.json`);
      await deleteIn(archive.store, retain(1));
      expect(archive.segments()).toEqual(range(14, 40));
    },
  );
});

describe('interrupted uploads', () => {
  it('are left alone where the store does not let us list them, and it is said', async () => {
    const archive = plain();
    const refuse = (error: Error) => {
      archive.store.leftovers = () => {
        throw error;
      };
    };
    const keys = archive.store.keys();
    for (const error of [
      new StoreError('the store is away', { transient: true, unavailable: true }),
      new TypeError('a fault of ours'),
    ]) {
      refuse(error);
      await expect(deleteIn(archive.store, retain(1))).rejects.toBe(error);
      expect(archive.store.keys()).toEqual(keys);
    }
    refuse(new StoreError('access denied', { transient: false }));
    const { status, records } = await deleteIn(archive.store, retain(1));
    expect([status, archive.backups()]).toEqual([0, [30]]);
    expect(records).toContainEqual(
      expect.objectContaining({ level: 'WARNING', message: expect.stringContaining('interrupted uploads') }),
    );
  });

  it('go when they are old, and stay while they may be going on', async () => {
    const archive = plain();
    const upload = (id: string, age: number) =>
      archive.store.uploads.push({ key: walKey(segmentAt(1, 39)), started: new Date(NOW - age), id });
    upload('old', 8 * DAY);
    upload('young', DAY);
    const { out } = await deleteIn(archive.store, retain(1));
    expect(archive.store.uploads.map(({ id }) => id)).toEqual(['young']);
    expect(out).toContain('1 interrupted upload');
  });
});

describe('the order', () => {
  it('is sentinels, version files and parts, WAL: of each the oldest first', async () => {
    const archive = plain();
    const order: string[] = [];
    archive.store.beforeRemove = (key) => order.push(key);
    await deleteIn(archive.store, retain(1));
    const backups = [10, 20].map((start) => backupOf({ start }).name);
    expect(order.slice(0, 6)).toEqual([
      ...backups.map(sentinelKey),
      ...backups.flatMap((backup) => [versionKey(backup), partKey(backup, 0)]),
    ]);
    const wal = order.slice(6).filter((key) => key.startsWith('wal_005/'));
    expect(wal).toHaveLength(27);
    expect(wal).toEqual([...wal].sort());
    expect(order.slice(33)).toEqual([expect.stringMatching(/^wale_delete_/)]);
  });
});

describe('the note of another run', () => {
  const noted = (archive: Archive, at: number) => {
    const key = deleteNoteKey('0123');
    const note = { backups: [name(10), name(20)], systems: [] };
    archive.store.set(key, new Date(at), { bytes: Buffer.from(JSON.stringify(note)) });
    return key;
  };

  it('stays while something of it is left: that run may be at work', async () => {
    const archive = plain();
    const key = noted(archive, NOW - HOUR);
    await deleteIn(archive.store, retain(2));
    expect(archive.backups()).toEqual([20, 30]);
    expect(archive.store.keys().filter((other) => other.startsWith('wale_delete_'))).toEqual([key]);
    await deleteIn(archive.store, retain(1));
    expect(archive.store.keys().filter((other) => other.startsWith('wale_delete_'))).toEqual([]);
  });

  it('says nothing about a backup that is newer than it', async () => {
    for (const [age, isKept] of [
      [HOUR, true],
      [3 * HOUR, false],
    ] as const) {
      const archive = plain();
      archive.store.objects.delete(sentinelKey(backupOf({ start: 10 }).name));
      const part = partKey(backupOf({ start: 10 }).name, 0);
      archive.store.set(part, new Date(NOW - age), { size: 100 });
      noted(archive, NOW - 2 * HOUR);
      await deleteIn(archive.store, retain(2));
      expect(archive.store.objects.has(part)).toBe(isKept);
      expect(archive.segments()).toEqual(range(isKept ? 10 : 20, 40));
    }
  });
});

describe('temporary files of the file store', () => {
  it.each([retain(1), everything({ orphansOlderThan: '7d' })])(
    'go when they are old, and stay while they may be being written: $verb',
    async (args) => {
      const folder = createScratch();
      cpSync(fileURLToPath(new URL('../../fixtures/golden/seg1/archive', import.meta.url)), folder, {
        recursive: true,
      });
      const temporary = (name: string, age: number) => {
        const path = join(folder, 'wal_005', `.${name}.lzo.0123456789abcdef.tmp`);
        writeFileSync(path, 'half');
        utimesSync(path, (NOW - age) / 1000, (NOW - age) / 1000);
        return path;
      };
      temporary('00000001000000000000000C', 8 * DAY);
      const young = temporary('00000001000000000000000D', 6 * DAY);
      const store = createFileStore(folder);
      const dry = await deleteIn(store, { ...args, confirm: false });
      expect(dry.records.filter(({ message }) => message.includes('interrupted upload'))).toHaveLength(1);
      const left = () =>
        readdirSync(join(folder, 'wal_005'))
          .filter((name) => name.endsWith('.tmp'))
          .map((name) => join(folder, 'wal_005', name));
      expect(left()).toHaveLength(2);
      expect((await deleteIn(store, args)).status).toBe(0);
      expect(left()).toEqual([young]);
      await store.close();
    },
  );
});

describe('a store that refuses to remove single keys', () => {
  it('[del-16] is reported with the keys, the rest goes on, and the exit status says so', async () => {
    const archive = plain();
    archive.store.stubborn.add(walKey(segmentAt(1, 7)));
    const { status, out, records } = await deleteIn(archive.store, retain(2));
    expect(status).toBe(1);
    expect(archive.segments()).toEqual([7, ...range(20, 40)]);
    expect(out).toContain('wal_005/000000010000000000000007.lzo  access denied');
    expect(records.at(-1)).toMatchObject({ level: 'CRITICAL', message: 'Some keys were not deleted' });
    archive.store.stubborn.clear();
    expect((await deleteIn(archive.store, retain(2))).status).toBe(0);
    expect(archive.segments()).toEqual(range(20, 40));
  });

  it('keeps its note, so that the next run deletes what is left of a backup, however young', async () => {
    const archive = plain();
    archive.backup({ start: 35, at: NOW - HOUR });
    archive.backup({ start: 38, at: NOW - HOUR / 2 });
    const part = partKey(backupOf({ start: 35 }).name, 0);
    const notes = () => archive.store.keys().filter((key) => key.startsWith('wale_delete_'));
    archive.store.stubborn.add(part);
    expect((await deleteIn(archive.store, retain(1))).status).toBe(1);
    expect([archive.store.objects.has(part), notes().length]).toEqual([true, 1]);
    archive.store.stubborn.clear();
    expect((await deleteIn(archive.store, retain(1))).status).toBe(0);
    expect([archive.store.objects.has(part), notes().length]).toEqual([false, 0]);
  });

  it('keeps the parts and the WAL of a backup whose sentinel stays', async () => {
    const archive = plain();
    archive.store.stubborn.add(sentinelKey(backupOf({ start: 10 }).name));
    const { status, out } = await deleteIn(archive.store, retain(1));
    expect(status).toBe(1);
    expect(out).toMatch(/^Not deleted: 1 object\.\n.*\n.*access denied$/m);
    expect(archive.backups()).toEqual([10, 30]);
    expect(archive.store.keys()).toContain(partKey(backupOf({ start: 10 }).name, 0));
    expect(archive.store.keys()).not.toContain(partKey(backupOf({ start: 20 }).name, 0));
    expect(archive.segments()).toEqual(range(10, 40));
  });
});

describe('a store that says it removed a sentinel, which is still there', () => {
  it('is not believed: parts and WAL of that backup stay, and the exit status says so', async () => {
    const archive = plain();
    const key = sentinelKey(backupOf({ start: 10 }).name);
    archive.store.stubborn.add(key);
    const remove = archive.store.remove.bind(archive.store);
    archive.store.remove = async (keys, call) => {
      await remove(keys, call);
      return [];
    };
    const { status, out } = await deleteIn(archive.store, retain(1));
    expect(status).toBe(1);
    expect(out).toContain(`${key}  still there after it was removed`);
    expect(out).toContain('Not deleted: 1 object.');
    expect(archive.backups()).toEqual([10, 30]);
    expect(archive.store.keys()).toContain(partKey(backupOf({ start: 10 }).name, 0));
    expect(archive.segments()).toEqual(range(10, 40));
  });
});

describe('what is archived after the plan was made', () => {
  it('is not touched, whatever its name', async () => {
    const archive = plain();
    archive.store.beforeRemove = () => {
      archive.other(walKey(segmentAt(1, 6)), NOW);
      archive.store.beforeRemove = () => {};
    };
    await deleteIn(archive.store, retain(1));
    expect(archive.segments()).toEqual([6, ...range(30, 40)]);
  });

  it('is not touched by everything either', async () => {
    const archive = plain();
    const late = partKey(backupOf({ start: 10 }).name, 7);
    archive.store.beforeRemove = () => {
      archive.other(late, NOW);
      archive.store.beforeRemove = () => {};
    };
    await deleteIn(archive.store, everything());
    expect(archive.store.keys()).toEqual([late]);
  });

  it('saves a backup that seemed left over, also a sentinel of the second in which its last part came', async () => {
    const archive = plain();
    const at = NOW - 45 * DAY;
    const { name: unfinished } = archive.backup({ start: 15, at, complete: false });
    archive.store.beforeRemove = () => archive.store.set(sentinelKey(unfinished), new Date(at));
    await deleteIn(archive.store, retain(1));
    expect(archive.store.objects.has(partKey(unfinished, 0))).toBe(true);
    expect(archive.backups()).toEqual([15, 30]);
    expect(archive.segments()).toEqual(range(15, 40));
  });
});

describe('--json', () => {
  it('prints one object with stable names', async () => {
    const archive = plain();
    archive.other('notes');
    archive.other(`other/${walKey(segmentAt(1, 1))}`);
    const { out } = await deleteIn(archive.store, retain(2, { json: true }));
    const report = JSON.parse(out);
    expect(report).toEqual({
      dryRun: false,
      backups: expect.any(Array),
      wal: {
        segmentBytes: SEGMENT_BYTES,
        segmentBytesSource: 'assumed',
        kept: [
          {
            timeline: 1,
            first: segmentAt(1, 20),
            last: segmentAt(1, 40),
            segments: 21,
            gaps: 0,
          },
        ],
        deleted: [{ timeline: 1, first: segmentAt(1, 5), last: segmentAt(1, 19), segments: 15, gaps: 0 }],
        deletedObjects: 16,
        deletedBytes: 151,
        unreachableObjects: 0,
      },
      leftovers: 0,
      unknownObjects: 1,
      beside: {
        objects: 1,
        bytes: 1,
        counted: 'all',
        problem: null,
        otherArchives: ['other/'],
        olderLayouts: [],
      },
      objectsToDelete: 19,
      bytesToDelete: expect.any(Number),
      keepsVersions: false,
      result: { deleted: 19, failed: 0, failures: [] },
    });
    const page = readFileSync(new URL('../../docs/delete.md', import.meta.url), 'utf8');
    const section = page.slice(page.indexOf('## --json'));
    const { wal, beside, result } = report;
    const names = [report, wal, wal.kept[0], beside, report.backups[0], result].flatMap(Object.keys);
    for (const name of names) expect(section).toContain(`\`${name}\``);
    expect(report.backups[0]).toEqual({
      name: name(10),
      action: 'delete',
      reason: 'older than the 2 newest',
      finished: new Date(NOW - 50 * DAY).toISOString(),
      timeSource: 'object',
      objects: 3,
      bytes: expect.any(Number),
      restorable: true,
      problem: null,
    });
  });
});

describe('the WAL segment size', () => {
  it('is stated by our own backups', async () => {
    const archive = new Archive();
    archive.backup({ start: 3, system: '7' });
    expect((await deleteIn(archive.store, retain(1))).out).toContain('16 MB (stated by a backup)');
  });

  it('is else read from the first page of a segment', async () => {
    const archive = new Archive();
    archive.backup({ start: 3 });
    const segment = segmentAt(1, 3);
    archive.store.set(walKey(segment), new Date(0), { bytes: lzop(segmentHead(segment, 64 * MB)) });
    expect((await deleteIn(archive.store, retain(1))).out).toContain('64 MB (read from a segment)');
  });

  it('is else read from the newest segments where those at which backups start are not there', async () => {
    const archive = new Archive();
    archive.backup({ start: 100, at: NOW - 30 * DAY });
    archive.backup({ timeline: 2, start: 200, at: NOW - 20 * DAY });
    archive.history(2, '1\t0/9600000\tx\n');
    archive.wal(1, 90, 99);
    archive.wal(1, 101, 150);
    archive.wal(2, 150, 199);
    archive.wal(2, 201, 220);
    const bytes = lzop(segmentHead(segmentAt(2, 220), MB));
    archive.store.set(walKey(segmentAt(2, 220)), new Date(NOW - 10 * DAY), { bytes });
    expect((await deleteIn(archive.store, retain(2))).out).toContain('1 MB (read from a segment)');
    // Segment 150 is at 150 MB, where timeline 2 begins: the older backup leads to it.
    expect(archive.segments(2)).toEqual([...range(150, 199), ...range(201, 220)]);
    expect(archive.segments(1)).toEqual(range(101, 150));
  });

  it('that another system states does not hide that a backup which would go is the only one to be restored', async () => {
    const archive = new Archive();
    archive.backup({ start: 60, stop: 70, at: NOW - 40 * DAY });
    archive.wal(1, 60, 80);
    const own = archive.backup({ start: 3 * 256, at: NOW - 10 * DAY, system: '7' });
    if (own.reading.kind !== 'read' || own.reading.sentinel.own === undefined)
      throw new Error('none of ours');
    const stated = { ...own.reading.sentinel, own: { ...own.reading.sentinel.own, segmentBytes: 64 * MB } };
    const bytes = Buffer.from(writeSentinel(stated));
    archive.store.set(sentinelKey(own.name), new Date(NOW - 10 * DAY), { bytes });
    await expect(deleteIn(archive.store, retain(1))).rejects.toThrow('no backup that can be restored');
  });

  it('is else seen in the names, where a log ends', async () => {
    const archive = new Archive();
    archive.backup({ start: 3 });
    for (const segment of ['00000001000000000000003F', '000000010000000100000000'])
      archive.other(walKey(segment));
    expect((await deleteIn(archive.store, retain(1))).out).toContain('64 MB (seen in the names)');
  });
});
