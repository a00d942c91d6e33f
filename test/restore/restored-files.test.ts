import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { countFiles } from '../../src/restore/restored-files.ts';
import { mountFuse } from '../harness/fuse.ts';

const { signal } = new AbortController();

it('counts the files of a restore on a file system that tells no types', async ({ skip }) => {
  const disk = mountFuse();
  if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
  mkdirSync(join(disk.folder, 'base'));
  for (const name of ['PG_VERSION', 'base/1', 'base/ä']) writeFileSync(join(disk.folder, name), 'four');
  disk.obey({ operation: 'opendir', untyped: 0 });
  expect(await countFiles(disk.folder, { sized: true, signal })).toEqual({ files: 3, bytes: 12 });
});

it('counts the other files where one vanishes meanwhile that had to be asked for its type', async ({
  skip,
}) => {
  const disk = mountFuse();
  if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
  for (const name of ['1', '2', 'ä']) writeFileSync(join(disk.folder, name), 'four');
  disk.obey({ operation: 'opendir', untyped: 0 }, { operation: 'lookup', path: '/2', errno: 'ENOENT' });
  expect(await countFiles(disk.folder, { sized: true, signal })).toEqual({ files: 2, bytes: 8 });
});
