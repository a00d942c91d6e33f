import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FolderLock, lockFolder } from '../src/folder-lock.ts';
import { canMount, mountLargeInodes } from './harness/mount.ts';
import { poll } from './harness/poll.ts';
import { createScratch } from './harness/scratch.ts';

async function held(work: string, folder: string): Promise<FolderLock> {
  const lock = await lockFolder(work, folder);
  if (lock === undefined) throw new Error('somebody else has it');
  return lock;
}

describe('the lock of a folder', () => {
  it('is held by one at a time, by whatever name the folder is called, for one kind of work', async () => {
    const data = createScratch();
    const link = join(createScratch(), 'link');
    symlinkSync(data, link);
    const lock = await held('backup-push', data);
    expect(await lockFolder('backup-push', data)).toBe(undefined);
    expect(await lockFolder('backup-push', link)).toBe(undefined);
    await (await held('backup-fetch', data)).release();
    await (await held('backup-push', createScratch())).release();
    await lock.release();
    await (await held('backup-push', data)).release();
  });

  it.runIf(process.platform === 'linux')('goes with a process that is killed', async () => {
    const data = createScratch();
    const script = `const { dev, ino } = require('fs').statSync(process.argv[1]);
      require('net').createServer().listen('\\0wal-e-backup-push-' + dev + '-' + ino, () => console.log('held'));`;
    const other = spawn(process.execPath, ['-e', script, data], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    expect(await lockFolder('backup-push', data)).toBe(undefined);
    other.kill('SIGKILL');
    await once(other, 'exit');
    const lock = await poll('the lock', () => lockFolder('backup-push', data));
    await lock.release();
  });

  it.runIf(canMount())(
    'is of that folder alone, however large the numbers of inodes are',
    async ({ skip }) => {
      const folder = mountLargeInodes(['one', 'other']);
      if (folder === undefined) return skip('this machine has no inodes with such numbers');
      const locks = await Promise.all(
        ['one', 'other'].map((name) => held('backup-fetch', join(folder, name))),
      );
      await Promise.all(locks.map((lock) => lock.release()));
    },
  );
});
