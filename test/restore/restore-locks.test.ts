import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RestoreLocks } from '../../src/restore/restore-locks.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { createScratch } from '../harness/scratch.ts';

const open: RestoreLocks[] = [];
afterEach(async () => {
  for (const locks of open.splice(0)) await locks.release();
});

function restore(): RestoreLocks {
  const locks = new RestoreLocks(testContext({ store: new MemoryStore() }).log);
  open.push(locks);
  return locks;
}

describe('the folders of a restore', () => {
  // pg_xlog as a link to pg_wal, which is itself a link.
  it('may be one folder by several names', async () => {
    const folder = createScratch();
    const link = join(createScratch(), 'link');
    symlinkSync(folder, link);
    const locks = restore();
    for (const name of [folder, folder, link]) await locks.take(name);
    await expect(restore().take(folder)).rejects.toThrow(
      'another backup-fetch is restoring into the same directory',
    );
    await locks.release();
    await restore().take(link);
  });
});
