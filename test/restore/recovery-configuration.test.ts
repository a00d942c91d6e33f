import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  autoConf,
  recoveryConf,
  settingLines,
  writeRecoveryConfiguration,
} from '../../src/restore/recovery-configuration.ts';
import { parseTarget } from '../../src/restore/recovery-target.ts';

const none = {
  targetTime: undefined,
  targetLsn: undefined,
  targetName: undefined,
  targetTimeline: undefined,
};
const wishes = {
  restoreCommand: `wal-e --envdir '/a b' wal-fetch "%f" "%p"`,
  standby: false,
  target: parseTarget(none),
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wale-recovery-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('quotes values as PostgreSQL reads them', () => {
  expect(settingLines([['x', `it's a \\ path`]])).toBe(`x = 'it''s a \\\\ path'\n`);
  expect(settingLines([['x', 'two\nlines']])).toBe(`x = 'two\\nlines'\n`);
});

it('writes recovery.conf for versions that read it', () => {
  const target = parseTarget({ ...none, targetTime: '2026-11-21T08:00:00Z', targetTimeline: '3' });
  expect(recoveryConf({ ...wishes, target })).toBe(
    `restore_command = 'wal-e --envdir ''/a b'' wal-fetch "%f" "%p"'\nrecovery_target_time = '2026-11-21 08:00:00+00'\nrecovery_target_timeline = '3'\n`,
  );
  expect(recoveryConf({ ...wishes, standby: true })).toMatch(/^standby_mode = 'on'\n/);
});

it('says nothing to PostgreSQL 11 and before that it does not know', () => {
  const current = parseTarget({ ...none, targetTimeline: 'current' });
  expect(recoveryConf({ ...wishes, target: current })).not.toContain('recovery_target_timeline');
});

it('keeps postgresql.auto.conf but for what an earlier recovery left in it', () => {
  const before =
    "work_mem = '4MB'\nrestore_command = 'old'\n  Recovery_Target_Time='x'\nprimary_conninfo = 'y'\n";
  const after = autoConf(before, wishes);
  expect(after).toContain("work_mem = '4MB'\n# before the restore: restore_command = 'old'\n");
  expect(after).toContain("# before the restore:   Recovery_Target_Time='x'\nprimary_conninfo = 'y'\n");
  expect(after.match(/^restore_command/gm)).toHaveLength(1);
  expect(after).toMatch(/recovery_target_timeline = 'latest'\n$/);
});

it("makes comments of commands that would do here what was meant for the source's WAL", () => {
  const after = autoConf("archive_cleanup_command = 'x'\nrecovery_end_command = 'y'\n", wishes);
  expect(after).toMatch(/^# before the restore: archive_cleanup_command/m);
  expect(after).toMatch(/^# before the restore: recovery_end_command/m);
});

it('does not let a recovery wait as the delayed standby did that the backup is of; a standby keeps its delay', () => {
  const before = "recovery_min_apply_delay = '4h'\n";
  expect(autoConf(before, wishes)).toMatch(/^# before the restore: recovery_min_apply_delay/);
  expect(autoConf(before, { ...wishes, standby: true })).toMatch(/^recovery_min_apply_delay = '4h'\n/);
});

it('neither reads nor writes through a link that the archive made', async () => {
  const precious = join(folder, 'precious');
  writeFileSync(precious, "secret = 'x'\n");
  symlinkSync(precious, join(folder, 'postgresql.auto.conf'));
  const writing = writeRecoveryConfiguration(folder, true, wishes, undefined);
  await expect(writing).rejects.toThrow('postgresql.auto.conf of the backup is not a file');
  for (const name of ['recovery.conf.wal-e-new', 'recovery.conf']) symlinkSync(precious, join(folder, name));
  await writeRecoveryConfiguration(folder, false, wishes, undefined);
  expect(readFileSync(precious, 'utf8')).toBe("secret = 'x'\n");
  expect(lstatSync(join(folder, 'recovery.conf')).isFile()).toBe(true);
});

it('writes private files and leaves one signal, the one that was asked for', async () => {
  writeFileSync(join(folder, 'standby.signal'), '');
  expect(await writeRecoveryConfiguration(folder, true, wishes, undefined)).toEqual([
    'postgresql.auto.conf',
    'recovery.signal',
  ]);
  expect(statSync(join(folder, 'standby.signal'), { throwIfNoEntry: false })).toBeUndefined();
  expect(statSync(join(folder, 'recovery.signal')).size).toBe(0);
  expect(statSync(join(folder, 'postgresql.auto.conf')).mode & 0o777).toBe(0o600);
  await writeRecoveryConfiguration(folder, true, { ...wishes, standby: true }, undefined);
  expect(statSync(join(folder, 'recovery.signal'), { throwIfNoEntry: false })).toBeUndefined();
  expect(await writeRecoveryConfiguration(folder, false, wishes, undefined)).toEqual(['recovery.conf']);
  expect(readFileSync(join(folder, 'recovery.conf'), 'utf8')).toContain('restore_command');
});
