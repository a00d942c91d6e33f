/**
 * An archive on a file system that fails as those of networks do: errors that come only with the sync or with close(), a
 * server that dies in the middle, calls that no signal ends. A real file system, made by test/harness/fuse.ts.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { EarlySync } from '../../src/early-sync.ts';
import { type Fuse, mountFuse } from '../harness/fuse.ts';
import { poll } from '../harness/poll.ts';
import { logEntries, runProgram, startProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAME = '000000010000000000000001';
const NEXT = '000000010000000000000002';

let disk: Fuse;
let scratch: string;

beforeEach(({ skip }) => {
  const mounted = mountFuse();
  if (mounted === undefined) return skip('no file system can be mounted through /dev/fuse here');
  disk = mounted;
  scratch = createScratch();
  for (const [seed, name] of [NAME, NEXT].entries())
    writeFileSync(join(scratch, name), segmentBytes(name, MB, seed));
});

const environment = (deadline = 0) => ({
  WALE_FILE_PREFIX: `file://localhost${disk.folder}/archive`,
  WALE_DEADLINE: String(deadline),
});
const push = (name = NAME) =>
  runProgram(['wal-push', '-p', '1', join(scratch, name)], { environment: environment(), cwd: scratch });
/** Also temporary ones. */
const stored = () => readdirSync(join(disk.behind, 'archive', 'wal_005')).sort();
const errorsIn = (stderr: string) =>
  logEntries(stderr).filter(({ level }) => level === 'ERROR' || level === 'CRITICAL');

describe('wal-push', () => {
  it.each([
    ['fsync', 'EIO', 'EIO: i/o error, fsync', 'dmesg'],
    ['flush', 'ENOSPC', 'ENOSPC: no space left on device, close', 'PostgreSQL keeps its WAL'],
    ['flush', 'EDQUOT', 'EDQUOT: disk quota exceeded, close', 'PostgreSQL keeps its WAL'],
    ['fsync', 'ESTALE', 'ESTALE: stale file handle, fsync', 'mount it again'],
    ['fsync', 'EINVAL', 'EINVAL: invalid argument, fsync', 'Only what is synced'],
    ['link', 'EPERM', 'EPERM: operation not permitted, link', 'use a file system that has them'],
    ['link', 'EIO', 'EIO: i/o error, link', 'it has no hard links (rclone mount says so)'],
  ])('stores nothing, and leaves nothing, when %s fails with %s', async (operation, errno, detail, hint) => {
    expect((await push(NEXT)).status).toBe(0);
    disk.obey({ operation, errno, path: NAME });
    const { status, stderr } = await push();
    expect(status, stderr).toBe(1);
    expect(errorsIn(stderr)).toEqual([
      expect.objectContaining({
        level: 'ERROR',
        detail: expect.stringContaining(detail),
        hint: expect.stringContaining(hint),
      }),
    ]);
    expect(stored()).toEqual([`${NEXT}.lzo`]);
    disk.obey();
    expect((await push()).status).toBe(0);
    expect(stored()).toEqual([`${NAME}.lzo`, `${NEXT}.lzo`]);
  });

  it('does not acknowledge an object whose folder could not be synced, and does with the next attempt', async () => {
    disk.obey({ operation: 'fsyncdir', errno: 'EIO', path: 'wal_005' });
    expect((await push()).status).toBe(1);
    expect((await push()).status).toBe(1);
    disk.obey();
    const { status, stderr } = await push();
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('MSG: the file was archived before');
  });

  it.each(['create', 'write', 'fsync', 'link', 'fsyncdir'])(
    'fails with a word when the file system dies in %s',
    async (operation) => {
      expect((await push(NEXT)).status).toBe(0);
      disk.obey({ operation, kill: true, path: operation === 'fsyncdir' ? 'wal_005' : NAME });
      const { status, stderr } = await push();
      expect(status, stderr).toBe(1);
      expect(errorsIn(stderr)).toEqual([
        expect.objectContaining({ level: 'ERROR', hint: expect.stringContaining('mount it again') }),
      ]);
    },
  );
});

describe('wal-fetch', () => {
  it('names the quota of the disk that it writes to', async () => {
    expect((await push()).status).toBe(0);
    disk.obey({ operation: 'write', errno: 'EDQUOT', path: '.wal-fetch' });
    const words = ['wal-fetch', '-p', '0', NAME, join(disk.folder, 'RECOVERYXLOG')];
    const { stderr } = await runProgram(words, { environment: environment(), cwd: scratch });
    expect(errorsIn(stderr)).toEqual([
      expect.objectContaining({ detail: expect.stringMatching(/EDQUOT: disk quota exceeded, write$/) }),
    ]);
  });

  it.each(['open', 'getattr', 'read', 'lookup'])(
    'stops a recovery with a word when the file system dies in %s',
    async (operation) => {
      expect((await push()).status).toBe(0);
      writeFileSync(join(scratch, 'recovery.signal'), '');
      disk.obey({ operation, kill: true, path: NAME });
      const out = join(scratch, 'out');
      const args = ['wal-fetch', '-p', '0', NAME, out];
      const { status, stderr } = await runProgram(args, { environment: environment(), cwd: scratch });
      expect(status, stderr).toBe(200);
      expect(errorsIn(stderr)).toEqual([
        expect.objectContaining({ level: 'ERROR', hint: expect.stringContaining('mount it again') }),
      ]);
      expect(existsSync(out)).toBe(false);
    },
  );
});

/** Whether the program has begun to look after this signal: before, it would simply end. */
function catches(pid: number, signal: number): boolean {
  const [, mask = '0'] = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

describe('a file system that hangs so that not even SIGKILL ends the call', () => {
  it.each([
    [['backup-list'], 'lookup', 'basebackups_005'],
    [['wal-push', '-p', '1', NEXT], 'fsync', NEXT],
  ])('%j says so at the deadline, and when it is stopped', async (args, operation, path) => {
    expect((await push()).status).toBe(0);
    mkdirSync(join(disk.behind, 'archive', 'basebackups_005'));
    disk.obey({ operation, hang: true, path });
    const late = startProgram(args, { environment: environment(1), cwd: scratch });
    const stopped = startProgram(args, { environment: environment(), cwd: scratch });
    await poll('the other to begin', () => catches(stopped.child.pid ?? 0, constants.signals.SIGTERM));
    await poll('its word', () => late.stderr().includes('MSG: the store did not do what was asked within'));
    stopped.child.kill('SIGTERM');
    await poll('the word of the other', () => stopped.stderr().includes('MSG: interrupted by SIGTERM'));
    disk.kill();
    await Promise.all([late.finished, stopped.finished]);
    expect(stored()).toContain(`${NAME}.lzo`);
    expect(stored()).not.toContain(`${NEXT}.lzo`);
  });
});

describe('early syncs', () => {
  it('end where a sync takes long and nothing was written meanwhile', async () => {
    disk.obey({ operation: 'fsync', delayMs: 30 });
    const seen = { isBusy: false, holdsUpWrites: false };
    const descriptor = openSync(join(disk.folder, 'file'), 'w');
    const sync = new EarlySync(descriptor, 1000, seen);
    writeSync(descriptor, Buffer.alloc(1000));
    sync.wrote(1000);
    await poll('the end of the sync', () => !seen.isBusy);
    expect(seen.holdsUpWrites).toBe(true);
    await sync.finish();
    closeSync(descriptor);
  });
});
