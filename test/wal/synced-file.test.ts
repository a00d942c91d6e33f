import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SyncedFile } from '../../src/wal/synced-file.ts';
import { createScratch } from '../harness/scratch.ts';

const MEGABYTE = 1024 * 1024;

test.each([0, 1, 3, 9])(
  'a finished file of %i MB has all that was written, whatever syncs went on',
  async (count) => {
    const path = join(createScratch(), 'file');
    const file = new SyncedFile(path);
    // One buffer, as the codec's memory.
    const buffer = Buffer.alloc(MEGABYTE);
    const expected = [];
    for (let index = 0; index < count; index += 1) {
      file.write(buffer.fill(index + 1));
      expected.push(Buffer.from(buffer));
      if (index % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await file.finish();
    await file.close();
    expect(readFileSync(path).equals(Buffer.concat(expected))).toBe(true);
  },
);

// Linux has no sync for this device: EINVAL.
test.each([1, 5])('a file of %i MB that cannot be synced is not finished', async (count) => {
  const file = new SyncedFile('/dev/null');
  for (let index = 0; index < count; index += 1) file.write(Buffer.alloc(MEGABYTE));
  await expect(file.finish()).rejects.toMatchObject({
    code: 'EINVAL',
    syscall: count < 4 ? 'fsync' : 'fdatasync',
  });
  await file.close();
});

test('a file can be closed while it is being synced', async () => {
  const file = new SyncedFile(join(createScratch(), 'file'));
  file.write(Buffer.alloc(8 * MEGABYTE));
  await file.close();
  expect(() => file.write(Buffer.alloc(1))).toThrow('EBADF');
});
