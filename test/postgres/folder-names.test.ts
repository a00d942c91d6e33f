import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderNames } from '../../src/postgres/folder-names.ts';
import { mountFuse } from '../harness/fuse.ts';
import { createScratch } from '../harness/scratch.ts';

const NAMES = Array.from({ length: 700 }, (_, index) => (index % 100 === 7 ? `${index}_ä` : String(index)));
const EXPECTED = NAMES.map((name) => Buffer.from(name).toString('latin1')).sort();

function fill(folder: string): Buffer {
  mkdirSync(join(folder, 'names'));
  for (const name of NAMES) writeFileSync(join(folder, 'names', name), '');
  return Buffer.from(join(folder, 'names'));
}

async function collected(folder: Buffer): Promise<string[][]> {
  const batches: string[][] = [];
  for await (const names of folderNames(folder)) batches.push(names);
  return batches;
}

describe('the names in a folder', () => {
  it('come in batches, each once', async () => {
    const batches = await collected(fill(createScratch()));
    expect(batches.flat().sort()).toEqual(EXPECTED);
    expect(Math.max(...batches.map((names) => names.length))).toBeLessThanOrEqual(256);
  });

  it.for([0, 1, 256, 300, 512, 699])(
    'come each once where the file system tells no types from the %i-th entry on, and one has vanished',
    async (untyped, { skip }) => {
      const disk = mountFuse();
      if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
      const folder = fill(disk.folder);
      const gone = { operation: 'lookup', path: 'names/650', errno: 'ENOENT' };
      disk.obey({ operation: 'opendir', untyped }, gone);
      expect((await collected(folder)).flat().sort()).toEqual(EXPECTED);
    },
  );
});
