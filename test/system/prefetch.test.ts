/** The built program fetches ahead: one detached process fills the spool, and nobody waits for it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { encodeLzop } from '../../src/codec/encoder.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import { poll } from '../harness/poll.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const FIRST = '0000000100000000000000F8';
const NAMES = [FIRST, ...followingSegments(FIRST, 24, MB)];
const HISTORY = '00000002.history';

let folder: string;
let pgWal: string;
let archive: string;

beforeEach(async () => {
  folder = createScratch();
  pgWal = join(folder, 'pg_wal');
  archive = join(folder, 'archive');
  mkdirSync(pgWal);
  const store = createFileStore(archive);
  for (const [index, name] of NAMES.entries()) await put(store, name, segmentBytes(name, MB, index));
  await put(store, HISTORY, Buffer.from('1\t0/3000000\tbecause\n'));
});

async function put(
  store: ReturnType<typeof createFileStore>,
  name: string,
  content: Uint8Array,
): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeLzop([content], { mode: 0, mtimeSeconds: 0 })) chunks.push(chunk);
  const signal = new AbortController().signal;
  await store.put(walKey(name), chunks, {
    createOnly: true,
    contentType: 'application/octet-stream',
    signal,
  });
}

function fetch(name: string, ...options: string[]) {
  const words = [
    `--file-prefix=file://localhost${archive}`,
    'wal-fetch',
    ...options,
    name,
    'pg_wal/RECOVERYXLOG',
  ];
  return runProgram(words, { cwd: folder });
}

const spool = () => join(pgWal, '.wal-e/prefetch');
const spooled = () =>
  existsSync(spool())
    ? readdirSync(spool())
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .sort()
    : [];
const resting = () => existsSync(spool()) && !existsSync(join(spool(), 'child'));
const fetched = () => readFileSync(join(pgWal, 'RECOVERYXLOG'));

describe('wal-fetch of a segment', () => {
  it('has the next eight fetched, which then need no archive', async () => {
    expect((await fetch(FIRST)).status).toBe(0);
    await poll('the spool to be full', () => spooled().length === 8 && resting());
    expect(spooled()).toEqual(NAMES.slice(1, 9));
    renameSync(archive, `${archive}.gone`);
    for (const [index, name] of NAMES.slice(1, 9).entries()) {
      expect((await fetch(name)).status).toBe(0);
      expect(fetched().equals(segmentBytes(name, MB, index + 1))).toBe(true);
    }
    const beyond = await fetch(NAMES[9] ?? '');
    expect(beyond.status).toBe(2);
    expect(beyond.stderr).toContain('the directory of the storage prefix is not there');
  });

  it('has them fetched from the archive that is meant, wherever its option stands', async () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(join(elsewhere, 'wal_005'), { recursive: true });
    const words = [
      ...['wal-fetch', '-p', '3', FIRST, 'pg_wal/RECOVERYXLOG'],
      ...['--terse', `--file-prefix=file://localhost${archive}`],
    ];
    const environment = { WALE_FILE_PREFIX: `file://localhost${elsewhere}` };
    expect((await runProgram(words, { cwd: folder, environment })).status).toBe(0);
    await poll('the spool to be full', () => spooled().length === 3 && resting());
    expect(spooled()).toEqual(NAMES.slice(1, 4));
  });

  it('keeps the spool full as it is used up, and empties it where recovery jumps', async () => {
    await fetch(FIRST, '-p', '4');
    for (let at = 1; at < 12; at += 1) {
      await poll('the next segment', () => spooled().includes(NAMES[at] ?? ''));
      expect((await fetch(NAMES[at] ?? '', '-p', '4')).status).toBe(0);
    }
    // A process that fetches ahead may start, be at work, or end; it is filled only when half of it is used up.
    await fetch(NAMES[20] ?? '', '-p', '4');
    await poll('the spool to hold what follows', () => spooled().length === 4 && resting());
    expect(spooled()).toEqual(NAMES.slice(21, 25));
    expect(readdirSync(join(spool(), 'running'))).toEqual([]);
  });

  it.each([
    ['nothing is to be fetched ahead', [FIRST, '-p', '0']],
    ['it is no segment', [HISTORY]],
    ['the archive does not have it', ['000000010000000100000000']],
  ])('starts nothing when %s', async (_, [name = '', ...options]) => {
    await fetch(name, ...options);
    expect(spooled()).toEqual([]);
    expect(existsSync(join(spool(), 'child'))).toBe(false);
  });

  it('is not held up by a process that fetches ahead and hangs', async () => {
    mkdirSync(join(spool(), 'running', NAMES[0] ?? ''), { recursive: true });
    writeFileSync(
      join(spool(), 'running', FIRST, String(process.pid)),
      'a live process that does not get on',
    );
    writeFileSync(join(spool(), 'child'), String(process.pid));
    writeFileSync(join(spool(), 'archive'), `file://localhost${archive}`);
    // Were it waited for, it would be for ever.
    expect((await fetch(FIRST)).status).toBe(0);
    rmSync(join(spool(), 'child'));
  });
});

describe('wal-prefetch whose spool is cleared at the moment when it says that it gets on', () => {
  it('ends as one that is no longer wanted', async () => {
    const hook = join(folder, 'hook.cjs');
    writeFileSync(
      hook,
      `const fs = require('node:fs'); const { utimesSync } = fs;
      fs.utimesSync = (path, ...times) => { fs.rmSync(path); utimesSync(path, ...times); };`,
    );
    const words = [`--file-prefix=file://localhost${archive}`, 'wal-prefetch', '--count=4'];
    const options = { cwd: folder, environment: { NODE_OPTIONS: `--require ${hook}` } };
    const { status, stderr } = await runProgram(
      [...words, `--segment-bytes=${MB}`, 'pg_wal', FIRST],
      options,
    );
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('MSG: another process fetches ahead');
    expect(stderr).not.toContain('ENOENT');
    expect(readdirSync(join(spool(), 'running'))).toEqual([]);
  });
});
