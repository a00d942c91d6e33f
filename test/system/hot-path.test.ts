/**
 * What a start loads decides how long it takes, so for the WAL verbs the lists are exact: whatever appears here has to be
 * worth its time in every archive_command and restore_command.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { PROGRAM } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const LOADS = fileURLToPath(new URL('../harness/loads.cjs', import.meta.url));
const SEGMENT = '000000010000000000000002';
const NEXT_SEGMENT = '000000010000000000000003';

/** Of the WAL verbs on a file store. Node has all of them loaded before the program starts. */
const FREE = ['node:fs', 'node:path', 'node:vm'];
const FILES = ['main.cjs', 'wal-e.cjs'];

/** What takes milliseconds to load. */
const DEAR =
  /^NativeModule (crypto|stream|https?|net|tls|dns|zlib|child_process|worker_threads|readline|url|os|internal\/fs\/promises)$/;

interface Loads {
  readonly required: readonly string[];
  readonly internal: readonly string[];
  readonly files: readonly string[];
  /** Timers that ran off. */
  readonly expired: number;
}

let folder: string;
let walFile: string;
let environment: Record<string, string>;

function run(args: readonly string[]): Loads {
  const child = spawnSync(process.execPath, ['-r', LOADS, PROGRAM, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  if (child.status !== 0) throw new Error(`exited ${child.status}: ${child.stderr.toString()}`);
  return JSON.parse(child.output[3]?.toString() ?? '') as Loads;
}

function builtins({ required }: Loads): string[] {
  return required.filter((name) => name.startsWith('node:')).sort();
}

/** Without the hash that the build puts into their names. */
function files({ files: paths }: Loads): string[] {
  const names = paths.map((path) => basename(path)).filter((name) => name !== basename(LOADS));
  return names.map((name) => name.replace(/-[A-Z0-9]{8}(?=\.cjs$)/, '')).sort();
}

beforeAll(() => {
  folder = createScratch();
  mkdirSync(join(folder, 'pg_wal'));
  mkdirSync(join(folder, 'archive'));
  walFile = join(folder, 'pg_wal', SEGMENT);
  writeFileSync(walFile, segmentBytes(SEGMENT, 16 * 1024 * 1024, 1));
  environment = {
    WALE_FILE_PREFIX: `file://localhost${folder}/archive`,
    WALE_LOG_DESTINATION: 'stderr',
  };
  // The code cache is made by the first start, which loads more.
  run(['version']);
  run(['wal-push', walFile]);
});

describe('no more is loaded than is listed here, and no timer is waited for', () => {
  test('by version', () => {
    const loads = run(['version']);
    expect(files(loads)).toEqual(['main.cjs', 'wal-e.cjs']);
    expect(builtins(loads)).toEqual(FREE);
    expect(loads.internal.filter((name) => DEAR.test(name))).toEqual([]);
  });

  test('by wal-push of one segment into a file store', () => {
    const loads = run(['wal-push', walFile]);
    expect(files(loads)).toEqual(FILES);
    expect(builtins(loads)).toEqual(FREE);
    expect(loads.expired).toBe(0);
    expect(loads.internal.filter((name) => DEAR.test(name))).toEqual([]);
  });

  test('by wal-fetch of one segment from a file store', () => {
    const loads = run(['wal-fetch', '-p', '0', SEGMENT, join(folder, 'fetched')]);
    expect(files(loads)).toEqual(FILES);
    expect(builtins(loads)).toEqual(FREE);
    expect(loads.expired).toBe(0);
    expect(loads.internal.filter((name) => DEAR.test(name))).toEqual([]);
  });

  test('by wal-fetch of a segment that was fetched ahead, while the next one is there too', () => {
    const spool = join(folder, '.wal-e', 'prefetch');
    mkdirSync(spool, { recursive: true });
    for (const name of [SEGMENT, NEXT_SEGMENT]) copyFileSync(walFile, join(spool, name));
    writeFileSync(join(spool, 'archive'), environment.WALE_FILE_PREFIX ?? '');
    const loads = run(['wal-fetch', '-p', '1', SEGMENT, join(folder, 'promoted')]);
    expect(files(loads)).toEqual(FILES);
    expect(builtins(loads)).toEqual(FREE);
    expect(loads.expired).toBe(0);
    expect(loads.internal.filter((name) => DEAR.test(name))).toEqual([]);
  });
});
