import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/backup/local-lock.ts';
import { poll } from '../harness/poll.ts';
import { createScratch } from '../harness/scratch.ts';

describe('the lock of a data directory', () => {
  it('is held by one at a time, by whatever name the directory is called', async () => {
    const data = createScratch();
    const link = join(createScratch(), 'link');
    symlinkSync(data, link);
    const lock = await lockDirectory(data);
    await expect(lockDirectory(data)).rejects.toThrow('another backup-push of this cluster is running');
    await expect(lockDirectory(link)).rejects.toThrow('another backup-push');
    await (await lockDirectory(createScratch())).release();
    await lock.release();
    await (await lockDirectory(data)).release();
  });

  it.runIf(process.platform === 'linux')('goes with a process that is killed', async () => {
    const data = createScratch();
    const script = `const { dev, ino } = require('fs').statSync(process.argv[1]);
      require('net').createServer().listen('\\0wal-e-backup-push-' + dev + '-' + ino, () => console.log('held'));`;
    const other = spawn(process.execPath, ['-e', script, data], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    await expect(lockDirectory(data)).rejects.toThrow('another backup-push');
    other.kill('SIGKILL');
    await once(other, 'exit');
    const lock = await poll('the lock', () => lockDirectory(data).catch(() => undefined));
    await lock.release();
  });
});
