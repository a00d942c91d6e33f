/** The WAL verbs where the process's surroundings are odd or hard: they work, or fail safely with a clear word. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { followingSegments } from '../../src/postgres/segment.ts';
import { serverAccount } from '../harness/account.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { PROGRAM, runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { failingCalls, orSkip } from '../harness/system-faults.ts';

const MB = 1024 * 1024;
const NAME = '000000010000000000000001';
const PARALLEL = followingSegments(NAME, 2, MB);
const IS_ROOT = process.getuid?.() === 0;

let dataDirectory: string;
let archive: string;
let content: Buffer;

beforeAll(() => {
  content = segmentBytes(NAME, MB, 1);
});

beforeEach(() => {
  const scratch = createScratch();
  dataDirectory = join(scratch, 'data');
  archive = join(scratch, 'archive');
  mkdirSync(join(dataDirectory, 'pg_wal', 'archive_status'), { recursive: true });
  writeFileSync(join(dataDirectory, 'pg_wal', NAME), content);
  writeFileSync(join(dataDirectory, 'recovery.signal'), '');
});

const environment = () => ({
  WALE_LOG_DESTINATION: 'stderr',
  WALE_FILE_PREFIX: `file://localhost${archive}`,
});
const object = () => join(archive, 'wal_005', `${NAME}.lzo`);
const fetched = () => join(dataDirectory, 'pg_wal', 'RECOVERYXLOG');

/** As PostgreSQL does it: a shell, in the data directory. */
function shell(commandLine: string, environmentOnTop: Readonly<Record<string, string>> = {}) {
  const { status, signal, stderr } = spawnSync('/bin/sh', ['-c', commandLine], {
    cwd: dataDirectory,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...environment(), ...environmentOnTop },
  });
  return { status, signal, stderr };
}

const pushLine = (path = `pg_wal/${NAME}`) => `${PROGRAM} wal-push '${path}'`;
const fetchLine = (path = 'pg_wal/RECOVERYXLOG') => `${PROGRAM} wal-fetch -p 0 ${NAME} '${path}'`;

describe('wal-push and wal-fetch work', () => {
  it.each<[string, (line: string) => string]>([
    ['with standard input, output and error closed', (line) => `${line} <&- >&- 2>&-`],
    ['with only standard error closed', (line) => `${line} 2>&-`],
    ['with standard error on a full device', (line) => `${line} 2>/dev/full`],
    [
      'with standard error in a pipe that nobody reads any more',
      (line) => `{ ${line}; echo $? >status; } 2>&1 | true; exit $(cat status)`,
    ],
    [
      'without HOME, LANG and all the rest',
      (line) =>
        `env -i PATH="$PATH" WALE_FILE_PREFIX="$WALE_FILE_PREFIX" WALE_LOG_DESTINATION=stderr ${line}`,
    ],
    ['with umask 077', (line) => `umask 077; ${line}`],
    ['with few open files', (line) => `ulimit -n 32; ${line}`],
    ['with a locale that is not there', (line) => `LANG=xx_XX.UTF-8 LC_ALL=xx_XX ${line}`],
    ['with a HOME that is not there', (line) => `HOME=/nowhere ${line}`],
    ['with a TMPDIR that is not there', (line) => `TMPDIR=/nowhere ${line}`],
  ])('%s', (_, wrap) => {
    expect(shell(wrap(pushLine())).status).toBe(0);
    expect(shell(wrap(fetchLine())).status).toBe(0);
    expect(readFileSync(fetched()).equals(content)).toBe(true);
  });

  it('for paths with spaces, quotes, umlauts and a backslash, absolute or not', () => {
    const odd = join(dataDirectory, 'a b"ü\\n$x');
    renameSync(join(dataDirectory, 'pg_wal'), odd);
    expect(shell(pushLine(join(odd, NAME)))).toMatchObject({ status: 0 });
    expect(shell(fetchLine('a b"ü\\n$x/RECOVERYXLOG'))).toMatchObject({ status: 0 });
    expect(readFileSync(join(odd, 'RECOVERYXLOG')).equals(content)).toBe(true);
  });

  it('where pg_wal is a link to another folder', () => {
    const elsewhere = join(createScratch(), 'wal');
    renameSync(join(dataDirectory, 'pg_wal'), elsewhere);
    symlinkSync(elsewhere, join(dataDirectory, 'pg_wal'));
    expect(shell(pushLine()).status).toBe(0);
    const { status } = shell(`${PROGRAM} wal-fetch -p 1 ${NAME} pg_wal/RECOVERYXLOG`);
    expect(status).toBe(0);
    expect(readFileSync(join(elsewhere, 'RECOVERYXLOG')).equals(content)).toBe(true);
  });

  it("files in pg_wal have the rights that the server's umask leaves them", () => {
    shell(pushLine());
    for (const [mask, mode] of [
      ['077', 0o600],
      ['027', 0o640],
    ] as const) {
      expect(shell(`umask ${mask}; ${fetchLine()}`).status).toBe(0);
      expect(statSync(fetched()).mode & 0o777).toBe(mode);
    }
  });

  it.runIf(IS_ROOT)('wal-push where pg_wal may only be read', async () => {
    const { uid, gid } = serverAccount();
    mkdirSync(archive);
    chownSync(archive, uid, gid);
    chmodSync(join(dataDirectory, 'pg_wal'), 0o555);
    for (const name of PARALLEL) {
      writeFileSync(join(dataDirectory, 'pg_wal', name), segmentBytes(name, MB, 2));
      writeFileSync(join(dataDirectory, 'pg_wal', 'archive_status', `${name}.ready`), '');
    }
    const push = () =>
      runProgram(['wal-push', `pg_wal/${NAME}`], { cwd: dataDirectory, uid, environment: environment() });
    for (const _ of ['first', 'again']) {
      const { status, stderr } = await push();
      expect(status, stderr).toBe(0);
    }
    expect(existsSync(object())).toBe(true);
  });
});

const LIMITS: [string, string, string, string][] = [
  ['on the size of files', 'ulimit -f 200', 'could not store a file', 'could not write the fetched file'],
];
// Since Node 24 WebAssembly does with less.
if (Number.parseInt(process.versions.node, 10) < 24) {
  const word = 'not enough address space';
  LIMITS.push(['on virtual memory', 'ulimit -v 8000000', word, word]);
}

describe('under a hard limit', () => {
  it.each(LIMITS)(
    '%s wal-push fails with 1, wal-fetch stops the recovery, and both say why',
    (_, limit, pushWord, fetchWord) => {
      const pushed = shell(`${limit}; ${pushLine()}`);
      expect(pushed.status, pushed.stderr).toBe(1);
      expect(pushed.stderr).toContain(pushWord);
      expect(existsSync(join(archive, 'wal_005')) ? readdirSync(join(archive, 'wal_005')) : []).toEqual([]);

      expect(shell(pushLine()).status).toBe(0);
      const { status, stderr } = shell(`${limit}; ${fetchLine()}`);
      expect(status, stderr).toBe(200);
      expect(stderr).toContain(fetchWord);
      expect(readdirSync(join(dataDirectory, 'pg_wal')).sort()).toEqual([NAME, 'archive_status']);
    },
  );

  it.each(['ulimit -n 12', 'ulimit -n 18', 'ulimit -v 300000'])(
    'that lets not even Node start (%s) nothing is said to be archived, or missing in the archive',
    (limit) => {
      expect(shell(pushLine()).status).toBe(0);
      const fetching = shell(`${limit}; ${fetchLine()}`);
      const isAnswer = fetching.signal === null && fetching.status !== null && fetching.status <= 125;
      if (isAnswer) expect(fetching.status).toBe(0);
      expect(existsSync(fetched())).toBe(isAnswer);
      execFileSync('rm', ['-rf', archive]);
      const pushing = shell(`${limit}; ${pushLine()}`);
      expect(existsSync(object())).toBe(pushing.status === 0);
    },
  );
});

describe('a disk that gives an I/O error', () => {
  it.for([1, 3])(
    'at reading %d of a segment: wal-push names the file, and leaves nothing',
    async (when, { skip }) => {
      const path = join(dataDirectory, 'pg_wal', NAME);
      const wrapper = orSkip(failingCalls('read', `error=EIO:when=${when}`, path), skip, 'strace');
      const { status, stderr } = await runProgram(['wal-push', path], {
        environment: environment(),
        wrapper,
      });
      expect(status, stderr).toBe(1);
      expect(stderr).toContain('could not read a file for wal-push');
      expect(stderr).toContain(`"${path}": EIO`);
      expect(readdirSync(join(archive, 'wal_005'))).toEqual([]);
    },
  );
});

// Only root can mount; elsewhere these are skipped.
describe.runIf(canMount())('a full disk', () => {
  it('under pg_wal: what was fetched ahead makes room for the segment that is needed now', () => {
    expect(shell(pushLine()).status).toBe(0);
    const pgWal = mountSmall(join(dataDirectory, 'pg_wal'), 5 * MB);
    const spool = join(pgWal, '.wal-e/prefetch');
    mkdirSync(join(spool, 'running'), { recursive: true });
    writeFileSync(join(spool, 'archive'), environment().WALE_FILE_PREFIX);
    for (const name of followingSegments(NAME, 4, MB)) {
      try {
        writeFileSync(join(spool, name), segmentBytes(name, MB, 2));
      } catch {
        // It is full.
      }
    }
    writeFileSync(join(pgWal, 'rest'), '');
    spawnSync('dd', ['if=/dev/zero', `of=${join(pgWal, 'rest')}`, 'bs=64k', 'count=100'], {
      stdio: 'ignore',
    });
    const { status, stderr } = shell(`${PROGRAM} wal-fetch -p 8 ${NAME} pg_wal/RECOVERYXLOG`);
    expect(status, stderr).toBe(0);
    expect(readFileSync(fetched()).equals(content)).toBe(true);
  });

  it('under pg_wal keeps no segment that was fetched ahead from its place, even if the archive is gone', () => {
    const pgWal = mountSmall(join(dataDirectory, 'pg_wal'), 4 * MB);
    const spool = join(pgWal, '.wal-e/prefetch');
    mkdirSync(join(spool, 'running'), { recursive: true });
    writeFileSync(join(spool, 'archive'), environment().WALE_FILE_PREFIX);
    writeFileSync(join(spool, NAME), content);
    writeFileSync(join(pgWal, 'rest'), '');
    spawnSync('dd', ['if=/dev/zero', `of=${join(pgWal, 'rest')}`, 'bs=4k', 'count=1000'], {
      stdio: 'ignore',
    });
    const { status, stderr } = shell(`${PROGRAM} wal-fetch -p 8 ${NAME} pg_wal/RECOVERYXLOG`);
    expect(status, stderr).toBe(0);
    expect(readFileSync(fetched()).equals(content)).toBe(true);
  });

  it('under pg_wal is what wal-fetch complains of, also where what was fetched ahead cannot be removed', () => {
    expect(shell(pushLine()).status).toBe(0);
    const pgWal = mountSmall(join(dataDirectory, 'pg_wal'), 4 * MB);
    const spool = join(pgWal, '.wal-e/prefetch');
    const [kept = ''] = followingSegments(NAME, 1, MB);
    mkdirSync(join(spool, 'running'), { recursive: true });
    mkdirSync(join(spool, kept));
    writeFileSync(join(spool, 'archive'), environment().WALE_FILE_PREFIX);
    mountSmall(join(spool, kept), MB);
    writeFileSync(join(pgWal, 'rest'), '');
    spawnSync('dd', ['if=/dev/zero', `of=${join(pgWal, 'rest')}`, 'bs=4k', 'count=1000'], {
      stdio: 'ignore',
    });
    const { status, stderr } = shell(`${PROGRAM} wal-fetch -p 8 ${NAME} pg_wal/RECOVERYXLOG`);
    expect(status, stderr).toBe(200);
    expect(stderr).toContain('MSG: could not write the fetched file');
    expect(stderr).toContain('ENOSPC');
    expect(stderr).not.toContain('CRITICAL');
  });

  it('under pg_wal does not hold up wal-push', () => {
    const pgWal = mountSmall(join(dataDirectory, 'pg_wal'), 4 * MB);
    mkdirSync(join(pgWal, 'archive_status'));
    for (const name of [NAME, ...PARALLEL]) {
      writeFileSync(join(pgWal, name), segmentBytes(name, MB, 1));
      writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
    }
    spawnSync('dd', ['if=/dev/zero', `of=${join(pgWal, 'rest')}`, 'bs=4k', 'count=1000'], {
      stdio: 'ignore',
    });
    const { status, stderr } = shell(pushLine());
    expect(status, stderr).toBe(0);
    for (const name of PARALLEL) expect(stderr).toMatch(new RegExp(`DETAIL: ${name}: Error: ENOSPC`));
    expect(stderr).toContain('MSG: a neighbour was archived, and that could not be noted');
    expect(stderr).not.toContain('MSG: a neighbour was not archived');
    const archived = readdirSync(join(archive, 'wal_005')).sort();
    expect(archived).toEqual([NAME, ...PARALLEL].map((name) => `${name}.lzo`));
  });

  it('under the archive: wal-push fails with the word, leaves nothing, and succeeds when there is room', () => {
    mkdirSync(archive);
    mountSmall(archive, MB / 2);
    const filler = join(archive, 'filler');
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k', 'count=60'], { stdio: 'ignore' });
    const failed = shell(pushLine());
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('Free some space on the file system of the storage prefix.');
    expect(readdirSync(join(archive, 'wal_005'))).toEqual([]);
    writeFileSync(filler, '');
    execFileSync('mount', ['-o', `remount,size=${4 * MB}`, archive]);
    expect(shell(pushLine()).status).toBe(0);
    expect(shell(fetchLine()).status).toBe(0);
  });
});
