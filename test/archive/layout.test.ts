import { describe, expect, it } from 'vitest';
import {
  backupName,
  classifyKey,
  partKey,
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
    expect(classifyKey(`${sentinelKey(name)}.bak`)).toEqual({ kind: 'unknown' });
    expect(classifyKey(`x/${walKey('a')}`)).toEqual({ kind: 'unknown' });
  });
});
