import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { removeUnfinished, replaceFile } from '../../src/restore/owned-file.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { createScratch } from '../harness/scratch.ts';

const NAME = 'postgresql.auto.conf';

let folder: string;
beforeEach(() => {
  folder = join(createScratch(), 'data');
  mkdirSync(folder);
});

describe('a file that the restore replaces', () => {
  it.runIf(canMount())('stays as it is when the disk runs full, and nothing lies beside it', async () => {
    mountSmall(folder, 256 * 1024);
    const before = '# before\n'.repeat(100);
    writeFileSync(join(folder, NAME), before);
    await expect(replaceFile(join(folder, NAME), 'x'.repeat(300 * 1024), undefined)).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    expect(readFileSync(join(folder, NAME), 'utf8')).toBe(before);
    expect(readdirSync(folder)).toEqual([NAME]);
  });

  it('is written anew where a run was killed that had written a part of it', async () => {
    writeFileSync(join(folder, `${NAME}.wal-e-new`), 'restore_comm', { mode: 0o644 });
    await replaceFile(join(folder, NAME), 'whole\n', undefined);
    expect(readFileSync(join(folder, NAME), 'utf8')).toBe('whole\n');
    expect(statSync(join(folder, NAME)).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual([NAME]);
  });
});

it('what a killed run left unfinished is removed, and nothing else', async () => {
  const others = [NAME, 'custom.conf.wal-e-new', 'precious'];
  for (const name of others) writeFileSync(join(folder, name), name);
  writeFileSync(join(folder, 'recovery.signal.wal-e-new'), '');
  symlinkSync('precious', join(folder, 'tablespace_map.wal-e-new'));
  await removeUnfinished(folder);
  expect(readdirSync(folder).sort()).toEqual(others.sort());
});
