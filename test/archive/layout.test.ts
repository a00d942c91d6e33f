import { describe, expect, it } from 'vitest';
import {
  backupName,
  CONTROL_PART,
  classifyKey,
  countsFromOne,
  FIRST_NAMED_PART,
  isForeignBackupName,
  partKey,
  partPrefix,
  partText,
  sentinelKey,
  versionKey,
  walKey,
} from '../../src/archive/layout.ts';

const name = backupName('00000001000000000000000B', 40);

describe('keys', () => {
  it('are those of the original', () => {
    expect(walKey('00000002.history')).toBe('wal_005/00000002.history.lzo');
    expect(versionKey(name)).toBe(
      'basebackups_005/base_00000001000000000000000B_00000040/extended_version.txt',
    );
    expect(partKey(name, 7)).toBe(
      'basebackups_005/base_00000001000000000000000B_00000040/tar_partitions/part_00000007.tar.lzo',
    );
    expect(sentinelKey(name)).toBe(
      'basebackups_005/base_00000001000000000000000B_00000040_backup_stop_sentinel.json',
    );
  });

  it('have eight characters of offset, as lpad() made them, however large the segment', () => {
    expect(backupName('000000010000000000000002', 40)).toBe('base_000000010000000000000002_00000040');
    expect(backupName('000000010000000000000002', 123_456_789)).toBe(
      'base_000000010000000000000002_12345678',
    );
  });

  it('are told apart by their whole text, so that foreign keys are never taken for ours', () => {
    expect(classifyKey(walKey('00000001000000000000000B.00000028.backup'))).toEqual({
      kind: 'wal',
      name: '00000001000000000000000B.00000028.backup',
    });
    expect(classifyKey(partKey(name, 7))).toEqual({ kind: 'part', backup: name, number: 7 });
    const tar = (file: string) => classifyKey(`${partPrefix(name)}${file}.tar.lzo`);
    expect(tar('part_001')).toEqual({ kind: 'part', backup: name, number: 1 });
    expect(tar('backup_label')).toEqual({ kind: 'part', backup: name, number: FIRST_NAMED_PART });
    expect(tar('pg_control')).toEqual({ kind: 'part', backup: name, number: CONTROL_PART });
    expect(tar('part_x')).toEqual({ kind: 'unknown' });
    expect(classifyKey(`${sentinelKey(name)}.bak`)).toEqual({ kind: 'unknown' });
    expect(classifyKey(`x/${walKey('a')}`)).toEqual({ kind: 'unknown' });
  });

  it('count parts from 1 only in the form that WAL-G gives them, so that a missing part 0 is seen', () => {
    const keys = (...files: readonly string[]) => files.map((file) => `${partPrefix(name)}${file}.tar.lzo`);
    expect(countsFromOne(keys('part_001', 'part_002', 'pg_control'))).toBe(true);
    expect(countsFromOne(keys('part_00000001'))).toBe(false);
    expect(countsFromOne(keys('part_001', 'part_00000000'))).toBe(false);
    expect(countsFromOne(keys('pg_control'))).toBe(false);
  });

  it('are told in messages by number, or by the name of the tar', () => {
    expect([7, FIRST_NAMED_PART, CONTROL_PART].map(partText)).toEqual([
      'part 7',
      'backup_label.tar.lzo',
      'pg_control.tar.lzo',
    ]);
  });

  it("tell WAL-G's own backups from those of WAL-E", () => {
    expect(isForeignBackupName('base_000000010000000000000003')).toBe(true);
    expect(isForeignBackupName('base_000000010000000000000005_D_000000010000000000000003')).toBe(true);
    expect(isForeignBackupName(name)).toBe(false);
  });
});
