import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTablespaces } from '../../src/postgres/tablespaces.ts';
import { mountFuse } from '../harness/fuse.ts';
import { createScratch } from '../harness/scratch.ts';

describe('the tablespaces of a cluster', () => {
  it('are the links with an oid for a name, and no folders', async () => {
    const root = createScratch();
    const location = join(root, 'space');
    for (const folder of ['space', 'pg_tblspc', 'pg_tblspc/16386']) mkdirSync(join(root, folder));
    for (const oid of ['16400', '9999']) symlinkSync(location, join(root, 'pg_tblspc', oid));
    symlinkSync(location, join(root, 'pg_tblspc/other'));
    writeFileSync(join(root, 'pg_tblspc/16388'), '');
    const expected = ['9999', '16400'].map((oid) => ({ oid, link: `pg_tblspc/${oid}`, location }));
    expect(await readTablespaces(root)).toEqual(expected);
  });

  it('are read where the file system tells no types and one is dropped meanwhile', async ({ skip }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    for (const oid of ['16385', '16386']) mkdirSync(join(disk.folder, 'pg_tblspc', oid), { recursive: true });
    const gone = { operation: 'lookup', path: 'pg_tblspc/16385', errno: 'ENOENT' };
    disk.obey({ operation: 'opendir', untyped: 0 }, gone);
    expect(await readTablespaces(disk.folder)).toEqual([]);
  });
});
