/** A program that cannot even be loaded still tells PostgreSQL what it must know. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, test } from 'vitest';
import { PROGRAM } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { copyProgram } from '../harness/staging.ts';

const SEGMENT = '000000010000000000000001';

let folder: string;
let dataDirectory: string;

beforeEach(() => {
  folder = createScratch();
  dataDirectory = join(folder, 'data');
  mkdirSync(dataDirectory);
});

interface Start {
  readonly cwd?: string;
  readonly program?: string;
  readonly path?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

function start(
  args: readonly string[],
  { program = PROGRAM, path, environment = {}, cwd = dataDirectory }: Start,
) {
  return spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: {
      PATH: path ?? process.env.PATH,
      WALE_FILE_PREFIX: `file://localhost${folder}/archive`,
      WALE_LOG_DESTINATION: 'stderr',
      ...environment,
    },
  });
}

const fetch = (options: Start) => start(['wal-fetch', SEGMENT, 'out'], options).status;
const push = (options: Start) => start(['wal-push', SEGMENT], options).status;

/** The program, but for its main file. */
function brokenProgram(): string {
  copyProgram(folder);
  rmSync(join(folder, 'dist', 'main.cjs'));
  return join(folder, 'bin', 'wal-e.cjs');
}

/** Shell tools, but no Node. */
function pathWithoutNode(): string {
  const bin = join(folder, 'tools');
  mkdirSync(bin);
  for (const tool of ['grep', 'tail']) {
    const [found = ''] = spawnSync('/bin/sh', ['-c', `command -v ${tool}`], {
      encoding: 'utf8',
    }).stdout.split('\n');
    symlinkSync(found, join(bin, tool));
  }
  return bin;
}

/** What is wrong; how the program is then started; what stops a recovery. What cannot be told must not end one. */
const TROUBLES: [string, () => Start, number][] = [
  ['whose main file is missing', () => ({ program: brokenProgram() }), 200],
  ['without a Node in PATH', () => ({ path: pathWithoutNode() }), 126],
  ['whose Node refuses NODE_OPTIONS', () => ({ environment: { NODE_OPTIONS: '--no-such' } }), 126],
];

describe.each(TROUBLES)('wal-fetch of a program %s', (_, trouble, stops) => {
  const MODES: [string, string, number][] = [
    ['recovery.signal', '', stops],
    ['standby.signal', '', 1],
    ['recovery.conf', "restore_command = 'x'\n", stops],
    ['recovery.conf', "standby_mode = 'on'\nrestore_command = 'x'\n", 1],
    ['recovery.conf', 'Standby_Mode TRUE\n', 1],
    ['recovery.conf', "standby_mode = 'on'\nstandby_mode = 'off'\n", stops],
    ['recovery.conf', '#standby_mode = on\n', stops],
    ['PG_VERSION', '18', stops],
  ];
  test.each(MODES)('beside %s (%j) exits with %i', (file, text, status) => {
    writeFileSync(join(dataDirectory, file), text);
    expect(fetch(trouble())).toBe(status);
  });

  test.each(MODES)(
    'called from elsewhere, into pg_wal beside %s (%j), exits with %i',
    (file, text, status) => {
      writeFileSync(join(dataDirectory, file), text);
      const destination = join(dataDirectory, 'pg_wal', 'RECOVERYXLOG');
      expect(start(['wal-fetch', SEGMENT, destination], { ...trouble(), cwd: folder }).status).toBe(status);
    },
  );

  it('beside standby.signal and recovery.signal is that of a standby', () => {
    for (const file of ['recovery.signal', 'standby.signal']) writeFileSync(join(dataDirectory, file), '');
    expect(fetch(trouble())).toBe(1);
  });

  it('exits with WALE_FETCH_ERROR_EXIT, where that is a status for a failure', () => {
    writeFileSync(join(dataDirectory, 'recovery.signal'), '');
    const given = trouble();
    const status = (value: string) =>
      fetch({ ...given, environment: { ...given.environment, WALE_FETCH_ERROR_EXIT: value } });
    expect([status('77'), status('255')]).toEqual([77, 255]);
    for (const senseless of ['0', '256', '', 'on', '1 ']) expect(status(senseless)).toBe(stops);
  });
});

describe.each(TROUBLES)('wal-push of a program %s', (_, trouble) => {
  it("fails with a status that PostgreSQL's archiver survives", () => {
    const status = push(trouble());
    expect(status).toBeGreaterThan(0);
    expect(status).toBeLessThanOrEqual(125);
  });
});

describe('Node options that change how a program is loaded', () => {
  it('--preserve-symlinks-main: a linked program finds its files', () => {
    const link = join(folder, 'wal-e');
    symlinkSync(PROGRAM, link);
    const options = {
      program: link,
      environment: { NODE_OPTIONS: '--preserve-symlinks-main --preserve-symlinks' },
    };
    expect(start(['version'], options)).toMatchObject({ status: 0, stderr: '' });
  });

  it('--jitless, without which there is no WebAssembly: the message says so', () => {
    writeFileSync(join(dataDirectory, '00000002.history'), '1\t0/5000000\tno reason\n');
    const { status, stderr } = start(['wal-push', '00000002.history'], {
      environment: { NODE_OPTIONS: '--jitless' },
    });
    expect(status).toBe(1);
    expect(stderr).toContain('MSG: this Node runs without WebAssembly');
    expect(stderr).toContain('Take --jitless');
  });
});
