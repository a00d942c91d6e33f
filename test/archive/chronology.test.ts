import { describe, expect, it } from 'vitest';
import { backupLabelKey, labelFinishTime } from '../../src/archive/backup-label.ts';
import type { KnownBackup } from '../../src/archive/catalog.ts';
import { chronology, contradiction } from '../../src/archive/chronology.ts';
import { type BackupName, backupName } from '../../src/archive/layout.ts';
import { parseHistory, TimelineTree } from '../../src/archive/timeline.ts';
import { backupOf, SEGMENT_BYTES } from './backups.ts';

const DAY = 24 * 60 * 60 * 1000;
const noLabels = async () => undefined;
const unasked = async () => {
  throw new Error('no label file was needed');
};
const labels = (times: ReadonlyMap<string, number>) => async (backup: { name: string }) => {
  const time = times.get(backup.name);
  return time === undefined ? undefined : new Date(time);
};
const starts = (dated: readonly { backup: KnownBackup }[]) =>
  dated.map(({ backup }) => Number.parseInt(backup.name.slice(21, 29), 16));

describe('the newest backup', () => {
  it('is the one whose sentinel states the latest finish, whatever the dates of the objects', async () => {
    const backups = [
      backupOf({ start: 1, system: '7', at: 900, finished: 100 }),
      backupOf({ start: 2, system: '7', at: 500, finished: 200 }),
    ];
    expect(starts(await chronology(backups, unasked))).toEqual([1, 2]);
  });

  it('is by the sentinel object for backups of the original', async () => {
    const backups = [backupOf({ start: 1, at: 100 }), backupOf({ start: 2, at: 200 })];
    expect(starts(await chronology(backups, unasked))).toEqual([1, 2]);
  });

  it('is none that states to have been finished long after its sentinel was stored: its clock was wrong', async () => {
    const backups = [
      backupOf({ start: 1, system: '7', at: 10 * DAY, finished: 12 * DAY }),
      backupOf({ start: 2, system: '7', at: 11 * DAY }),
    ];
    const dated = await chronology(backups, noLabels);
    expect(starts(dated)).toEqual([1, 2]);
    expect(dated.map(({ source }) => source)).toEqual(['object', 'sentinel']);
  });

  it('is never one without a sentinel', async () => {
    const backups = [backupOf({ start: 1, at: 100 }), backupOf({ start: 2, at: 200, complete: false })];
    expect(starts(await chronology(backups, unasked))).toEqual([1]);
  });

  it('is by the label files where an archive was copied and its dates contradict the WAL positions', async () => {
    const backups = [1, 2, 3].map((start) => backupOf({ start, at: 1000 - start }));
    const times = new Map(backups.map((backup, i) => [backup.name as string, i]));
    const dated = await chronology(backups, labels(times));
    expect(starts(dated)).toEqual([1, 2, 3]);
    expect(dated.map(({ source }) => source)).toEqual(['label', 'label', 'label']);
  });

  it('is not an old backup of the original that was copied into an archive of ours', async () => {
    const backups = [
      backupOf({ start: 1, at: 5000 }),
      backupOf({ start: 2, system: '7', at: 6000, finished: 300 }),
    ];
    const times = new Map([[backups[0]?.name as string, 100]]);
    expect(starts(await chronology(backups, labels(times)))).toEqual([1, 2]);
  });

  it('is still by date when no label file is left, and the contradiction is told', async () => {
    const backups = [backupOf({ start: 1, at: 200 }), backupOf({ start: 2, at: 100 })];
    const dated = await chronology(backups, noLabels);
    expect(starts(dated)).toEqual([2, 1]);
    const found = contradiction(dated, new TimelineTree([]), SEGMENT_BYTES);
    expect([found?.lower.backup, found?.higher.backup]).toEqual(backups);
  });
});

describe('a contradiction between time and position', () => {
  const tree = new TimelineTree([parseHistory(2, '1\t0/A000000\tx\n')]);
  const find = async (backups: readonly KnownBackup[]) =>
    contradiction(await chronology(backups, noLabels), tree, SEGMENT_BYTES);

  it('is none between systems whose sentinels state their times', async () => {
    const backups = [
      backupOf({ start: 100, system: '7', at: 100 }),
      backupOf({ start: 5, system: '8', at: 200 }),
    ];
    expect(await find(backups)).toBeUndefined();
  });

  it('is none between branches of the history', async () => {
    expect(
      await find([backupOf({ start: 20, at: 100 }), backupOf({ timeline: 2, start: 12, at: 200 })]),
    ).toBeUndefined();
    expect(
      await find([backupOf({ start: 20, at: 200 }), backupOf({ timeline: 2, start: 30, at: 100 })]),
    ).toBeUndefined();
  });

  it('is one along a history that passes to the next timeline', async () => {
    expect(
      await find([backupOf({ start: 9, at: 200 }), backupOf({ timeline: 2, start: 12, at: 100 })]),
    ).toBeDefined();
  });

  it('is one between backups of one system of which the later began far earlier', async () => {
    const early = (started: number) => [
      backupOf({ start: 5, system: '7', at: 40 * DAY }),
      backupOf({ start: 9, system: '7', at: 50 * DAY, finished: started + 1000, started }),
    ];
    expect(await find(early(39.5 * DAY))).toBeUndefined();
    expect(await find(early(10 * DAY))).toBeDefined();
  });

  it('is none where a slow backup is overtaken by another', async () => {
    const slow = backupOf({ start: 5, system: '7', at: 50 * DAY, started: 10 * DAY });
    expect(await find([slow, backupOf({ start: 9, system: '7', at: 20 * DAY })])).toBeUndefined();
  });

  it('is none where two backups start in one segment or have one date', async () => {
    const one = [backupOf({ start: 9, at: 200 }), backupOf({ start: 9, offset: 900, at: 100 })];
    expect(await find(one)).toBeUndefined();
    expect(await find([backupOf({ start: 9, at: 100 }), backupOf({ start: 10, at: 100 })])).toBeUndefined();
  });

  it('is not hidden by a third backup that starts in the segment of one of the two', async () => {
    const third = backupOf({ start: 10, offset: 40, at: 300 });
    const pair = [backupOf({ start: 9, at: 200 }), backupOf({ start: 10, offset: 900, at: 100 })];
    expect(await find([...pair, third])).toBeDefined();
    const stated = (start: number, offset: number, started: number) =>
      backupOf({ start, offset, system: '7', at: 90 * DAY, started });
    expect(
      await find([stated(9, 40, 40 * DAY), stated(10, 40, 80 * DAY), stated(10, 900, 10 * DAY)]),
    ).toBeDefined();
  });
});

describe('the label file of a backup', () => {
  const golden = [
    'START WAL LOCATION: 0/B00028 (file 00000001000000000000000B)',
    'STOP WAL LOCATION: 0/B00100 (file 00000001000000000000000B)',
    'START TIME: 2026-11-21 07:25:39 CET',
    'LABEL: freeze_start_2026-11-21T06:25:39.338556+00:00',
    'STOP TIME: 2026-11-21 07:25:49 CET',
    '',
  ].join('\n');

  it('has the offset in hex in its name', () => {
    expect(backupLabelKey(backupName('00000001000000000000000B', 40))).toBe(
      'wal_005/00000001000000000000000B.00000028.backup.lzo',
    );
    expect(backupLabelKey('base_00000001000000000000000B_000000C7' as BackupName)).toBeUndefined();
  });

  it('tells the finish of a backup of the original in whatever zone the server logged', () => {
    expect(labelFinishTime(golden)?.toISOString()).toBe('2026-11-21T06:25:49.338Z');
  });

  it('of another tool tells it only when the zone is UTC', () => {
    const other = golden.replace(/LABEL: .*/, 'LABEL: pg_basebackup base backup');
    expect(labelFinishTime(other)).toBeUndefined();
    expect(labelFinishTime(other.replaceAll('CET', 'UTC'))?.toISOString()).toBe('2026-11-21T07:25:49.000Z');
  });

  it.each(['', 'LABEL: freeze_start_yesterday-at-noon', '\u0000'.repeat(100)])(
    'that is damaged tells nothing',
    (text) => {
      expect(labelFinishTime(text)).toBeUndefined();
    },
  );
});
