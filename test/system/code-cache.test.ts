import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { beforeEach, describe, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { createScratch } from '../harness/scratch.ts';
import { copyProgram } from '../harness/staging.ts';

let folder: string;

beforeEach(() => {
  folder = createScratch();
  copyProgram(folder);
  for (const name of caches()) rmSync(join(folder, 'dist', name));
});

function caches(): string[] {
  return readdirSync(join(folder, 'dist')).filter((name) => name.includes('.cache'));
}

function cachePath(): string {
  expect(caches()).toEqual([`main-${process.version}-${process.arch}.cache`]);
  return join(folder, 'dist', caches()[0] ?? '');
}

/** Runs `wal-e version`, which must work whatever is with the cache. */
function start(options: { readonly flags?: readonly string[]; readonly uid?: number } = {}): void {
  const { flags = [], uid } = options;
  const program = join(folder, 'bin', 'wal-e.cjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, program, 'version'], {
    encoding: 'utf8',
    ...(uid === undefined ? {} : { uid }),
  });
  expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/), '']);
}

/** What V8 says of it, given the very source that the program gives it. */
function isAccepted(cache: Buffer): boolean {
  const main = join(folder, 'dist', 'main.cjs');
  const source = readFileSync(main, 'latin1');
  const half = (cache.length - 67) / 2;
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
    filename: main,
    cachedData: cache.subarray(67, 67 + half),
  });
  return script.cachedDataRejected === false;
}

describe('the code cache', () => {
  test('is made by the first start that may write beside the program, and stays', () => {
    start();
    const made = readFileSync(cachePath());
    expect(isAccepted(made)).toBe(true);
    const { ino, mtimeMs } = statSync(cachePath());
    start();
    expect(statSync(cachePath())).toMatchObject({ ino, mtimeMs });
  });

  test('serves the WAL verbs too', () => {
    const file = join(folder, '00000002.history');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const program = join(folder, 'bin', 'wal-e.cjs');
    for (const _ of ['made', 'used']) {
      const { status } = spawnSync(process.execPath, [program, 'wal-push', file], {
        env: { PATH: process.env.PATH, WALE_FILE_PREFIX: `file://localhost${folder}/archive` },
      });
      expect(status).toBe(0);
    }
    expect(isAccepted(readFileSync(cachePath()))).toBe(true);
  });

  test('can be read by whoever can read the program, whatever the umask was', () => {
    const umask = process.umask(0o077);
    try {
      start();
    } finally {
      process.umask(umask);
    }
    const readable = statSync(join(folder, 'dist', 'main.cjs')).mode & 0o444;
    expect(statSync(cachePath()).mode & 0o444).toBe(readable);
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['damaged', (bytes) => bytes.fill(0x55, bytes.length >> 2, (bytes.length >> 2) + 100)],
    ['damaged in its second copy', (bytes) => bytes.fill(0x55, bytes.length - 5)],
    ['cut', (bytes) => bytes.subarray(0, bytes.length - 1000)],
    ['empty', () => Buffer.alloc(0)],
    ['of another build', (bytes) => bytes.fill('//0000', 0, 6)],
  ])('that is %s is not used, but made anew', (_, spoil) => {
    start();
    const good = readFileSync(cachePath());
    writeFileSync(cachePath(), spoil(Buffer.from(good)));
    start();
    expect(isAccepted(readFileSync(cachePath()))).toBe(true);
    expect(readFileSync(cachePath()).subarray(0, 67).equals(good.subarray(0, 67))).toBe(true);
  });

  test('that is far too large is not read, but made anew', () => {
    start();
    const id = readFileSync(cachePath()).subarray(0, 67);
    writeFileSync(cachePath(), id);
    // A gigabyte for either copy.
    truncateSync(cachePath(), 67 + 2 * 1024 ** 3 - 2);
    const preload = join(folder, 'memory.cjs');
    writeFileSync(preload, "process.on('exit', () => console.log(process.resourceUsage().maxRSS));");
    const args = ['--require', preload, join(folder, 'bin', 'wal-e.cjs'), 'version'];
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    // KiB; most of it is Node.
    expect(Number(stdout.trim().split('\n').at(-1))).toBeLessThan(300_000);
    start();
    expect(isAccepted(readFileSync(cachePath()))).toBe(true);
  });

  test.each([0o666, 0o664])('that others can write (mode %o) is not used, but made anew', (mode) => {
    start();
    const { ino } = statSync(cachePath());
    chmodSync(cachePath(), mode);
    start();
    expect(statSync(cachePath()).ino).not.toBe(ino);
    expect(statSync(cachePath()).mode & 0o022).toBe(0);
  });

  test('of a program that its group can write is not writable itself, and stays', () => {
    chmodSync(join(folder, 'dist', 'main.cjs'), 0o666);
    start();
    const { ino, mode } = statSync(cachePath());
    expect(mode & 0o777).toBe(0o644);
    start();
    expect(statSync(cachePath()).ino).toBe(ino);
  });

  // Only root can give files away.
  test.runIf(process.getuid?.() === 0)(
    'is used when it belongs to root, to us or to the owner of the program',
    () => {
      start();
      const { uid } = serverAccount();
      const made = statSync(cachePath()).ino;
      chownSync(join(folder, 'dist', 'main.cjs'), uid, 0);
      chownSync(cachePath(), uid, 0);
      start();
      expect(statSync(cachePath()).ino).toBe(made);
      chownSync(cachePath(), uid + 1, 0);
      start();
      expect(statSync(cachePath()).ino).not.toBe(made);
      expect(statSync(cachePath()).uid).toBe(0);
    },
  );

  test('is left alone by a Node that was started with other flags, which V8 then does without', () => {
    start();
    const { ino } = statSync(cachePath());
    start({ flags: ['--no-opt'] });
    expect(statSync(cachePath()).ino).toBe(ino);
  });

  test('that such a Node made is made anew by the next start without flags', () => {
    start({ flags: ['--no-opt'] });
    expect(isAccepted(readFileSync(cachePath()))).toBe(false);
    start();
    expect(isAccepted(readFileSync(cachePath()))).toBe(true);
  });

  test('is not missed where nobody may write beside the program', () => {
    const dist = join(folder, 'dist');
    chmodSync(dist, 0o555);
    // Permissions do not hold root back.
    const isRoot = process.getuid?.() === 0;
    start(isRoot ? { uid: serverAccount().uid } : {});
    expect(caches()).toEqual([]);
    chmodSync(dist, 0o755);
  });
});
