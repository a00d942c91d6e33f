import { describe, expect, it } from 'vitest';
import { firstBlock, isDatabaseFolder, relationFile } from '../../src/postgres/relation-file.ts';

describe('a relation file', () => {
  it.each([
    ['16384', { node: '16384', fork: 'main', segment: 0, temporary: false }],
    ['16384.12', { node: '16384', fork: 'main', segment: 12, temporary: false }],
    ['16384_fsm', { node: '16384', fork: 'fsm', segment: 0, temporary: false }],
    ['16384_vm.1', { node: '16384', fork: 'vm', segment: 1, temporary: false }],
    ['16384_init', { node: '16384', fork: 'init', segment: 0, temporary: false }],
    ['t3_16400_fsm.2', { node: '16400', fork: 'fsm', segment: 2, temporary: true }],
  ])('is told by its name: %s', (name, expected) => {
    expect(relationFile(name)).toEqual(expected);
  });

  it.each([
    'pg_filenode.map',
    'PG_VERSION',
    '16384_x',
    '16384.',
    't3_',
    'x16384',
    '16384.1.2',
    '16384_init2',
  ])('is not what has another name: %s', (name) => {
    expect(relationFile(name)).toBeUndefined();
  });

  it('has pages with checksums in a database, in a tablespace and among the shared relations, nowhere else', () => {
    expect(firstBlock('base/5/16384', 131072)).toBe(0);
    expect(firstBlock('base/5/16384.3', 131072)).toBe(393216);
    expect(firstBlock('global/1260', 131072)).toBe(0);
    expect(firstBlock('pg_tblspc/16385/PG_18_202506291/5/16384_vm', 131072)).toBe(0);
    expect(firstBlock('global/pg_filenode.map', 131072)).toBeUndefined();
    expect(firstBlock('pg_xact/0000', 131072)).toBeUndefined();
    expect(firstBlock('pg_tblspc/16385/5/16384', 131072)).toBeUndefined();
    expect(firstBlock('16384', 131072)).toBeUndefined();
    expect(isDatabaseFolder('base')).toBe(false);
  });
});
