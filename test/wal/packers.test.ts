import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SLAB_BYTES } from '../../src/wal/pack.ts';
import { createPackers } from '../../src/wal/packers.ts';
import { statWalFile } from '../../src/wal/wal-file.ts';
import { decompress } from '../harness/lzop.ts';
import { noise } from '../harness/samples.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAME = '000000010000000000000003';

/** Half of it does not compress. */
function segment() {
  const path = join(createScratch(), NAME);
  const bytes = segmentBytes(NAME, 8 * MB, 1);
  noise(4 * MB, 1).copy(bytes, 4 * MB);
  writeFileSync(path, bytes);
  return statWalFile(path);
}

test('the thread that packs comes back to what else it has to do after each slab', async () => {
  const file = segment();
  const [here] = createPackers(1);
  let turns = 0;
  const count = () => {
    turns += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const packed = await here?.pack(file);
  clearImmediate(next);
  const slabs = packed?.pieces.length ?? 0;
  expect(slabs).toBeGreaterThan((4 * MB) / SLAB_BYTES);
  expect(turns).toBeGreaterThanOrEqual(slabs);
  expect(decompress(Buffer.concat(packed?.pieces ?? [])).equals(readFileSync(file.path))).toBe(true);
});

test('files that are packed at once by two threads, and in turns by one, are whole', async () => {
  const files = [segment(), segment(), segment(), segment()];
  const packers = createPackers(2);
  try {
    const packed = await Promise.all(files.map((file, index) => packers[index % 2]?.pack(file)));
    for (const [index, file] of files.entries()) {
      const pieces = packed[index]?.pieces ?? [];
      expect(decompress(Buffer.concat(pieces)).equals(readFileSync(file.path)), `${index}`).toBe(true);
    }
  } finally {
    await Promise.all(packers.map((packer) => packer.close()));
  }
});
