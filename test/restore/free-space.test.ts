import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { checkFreeSpace } from '../../src/restore/free-space.ts';

it('refuses a restore only where the file system says that there is too little room', async () => {
  const bytes = Number.MAX_SAFE_INTEGER;
  await expect(checkFreeSpace([{ directory: tmpdir(), bytes }], bytes)).rejects.toThrow(
    'not enough free space',
  );
  // As ceph-fuse without a manager, and what has no statfs in FUSE: no blocks, so none that are free.
  await checkFreeSpace([{ directory: '/proc/data', bytes }], bytes);
});
