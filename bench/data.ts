/** The data that is measured with, made once and kept in .cache/bench. */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Cluster, createCluster } from '../test/harness/postgres.ts';

const folder = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
/** A file of the benchmarks' own folder. */
export function cached(name: string): string {
  return join(folder, name);
}

const MEGABYTE = 1024 * 1024;
const SEGMENTS = 36;

export interface Sample {
  readonly name: 'WAL' | 'heap' | 'text' | 'random' | 'zeros';
  readonly path: string;
  readonly bytes: number;
}

/** 64 MB of each kind (text: 32 MB). */
export async function samples(): Promise<readonly Sample[]> {
  const { segments, heap } = await database();
  const quarters = segments.filter((_, index) => index % (SEGMENTS / 4) === 0);
  const source = basename(dirname(heap));
  const wal = made(`${source}.wal`, (path) => concatenate(path, quarters, 64 * MEGABYTE));
  return [
    sample('WAL', wal),
    sample(
      'heap',
      made(`${source}.heap`, (path) => concatenate(path, [heap], 64 * MEGABYTE)),
    ),
    sample(
      'text',
      made('text', (path) => concatenate(path, sources(), 32 * MEGABYTE)),
    ),
    sample(
      'random',
      made('random', (path) => fill(path, () => randomFillSync(Buffer.alloc(MEGABYTE)))),
    ),
    sample(
      'zeros',
      made('zeros', (path) => fill(path, () => Buffer.alloc(MEGABYTE))),
    ),
  ];
}

/**
 * Files of a PostgreSQL under pgbench's load, where there is a pgbench (of PATH or of Debian's packages), else under one
 * like it; full page images on, a checkpoint for every 256 MB: whole 16 MB WAL segments in order, and the heap of the
 * accounts.
 */
export async function database(): Promise<{ readonly segments: readonly string[]; readonly heap: string }> {
  const pgbench = findPgbench();
  const target = join(folder, pgbench === undefined ? 'like-pgbench' : 'pgbench');
  if (!existsSync(target)) await makeDatabase(target, pgbench);
  const segments = readdirSync(target).filter((name) => /^[0-9A-F]{24}$/.test(name));
  return { segments: segments.sort().map((name) => join(target, name)), heap: join(target, 'heap') };
}

function findPgbench(): string | undefined {
  const packaged = '/usr/lib/postgresql';
  const versions = existsSync(packaged) ? readdirSync(packaged).sort().reverse() : [];
  const folders = (process.env.PATH ?? '').split(delimiter);
  return [...folders, ...versions.map((version) => join(packaged, version, 'bin'))]
    .map((path) => join(path, 'pgbench'))
    .find((path) => existsSync(path));
}

async function makeDatabase(target: string, pgbench: string | undefined): Promise<void> {
  console.log(
    pgbench === undefined ? 'no pgbench: the load is one like its' : `the load is made by ${pgbench}`,
  );
  const unfinished = `${target}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const cluster = await createCluster({
    version: 16,
    settings: { shared_buffers: '128MB', wal_keep_size: '2GB', max_wal_size: '256MB', autovacuum: 'off' },
  });
  const { load, accounts } = pgbench === undefined ? likePgbench(cluster) : ofPgbench(cluster, pgbench);
  try {
    await cluster.start();
    const run = await load();
    await cluster.query('CHECKPOINT');
    const start = await cluster.value('SELECT pg_walfile_name(pg_switch_wal() + 1)');
    const done = async () =>
      completed(cluster.walDirectory, start, await cluster.value(CURRENT)).length >= SEGMENTS;
    while (!(await done())) await run();
    await cluster.query('CHECKPOINT');
    for (const name of completed(cluster.walDirectory, start, await cluster.value(CURRENT)).slice(
      0,
      SEGMENTS,
    )) {
      copyFileSync(join(cluster.walDirectory, name), join(unfinished, name));
    }
    const heap = await cluster.value(`SELECT pg_relation_filepath('${accounts}')`);
    copyFileSync(join(cluster.dataDirectory, heap), join(unfinished, 'heap'));
  } finally {
    await cluster.dispose();
  }
  renameSync(unfinished, target);
}

interface Load {
  /** Makes the tables; resolves to what makes some of the load. */
  readonly load: () => Promise<() => Promise<unknown>>;
  readonly accounts: string;
}

function ofPgbench(cluster: Cluster, program: string): Load {
  const { socketDirectory, port, user } = cluster;
  const call = (...args: string[]) =>
    promisify(execFile)(program, [
      '-h',
      socketDirectory,
      '-p',
      String(port),
      '-U',
      user,
      ...args,
      'postgres',
    ]);
  return {
    accounts: 'pgbench_accounts',
    async load() {
      await call('--initialize', '--quiet', '--scale=10');
      return () => call('--no-vacuum', '--client=2', '--jobs=2', '--transactions=20000');
    },
  };
}

function likePgbench(cluster: Cluster): Load {
  return {
    accounts: 'accounts',
    async load() {
      await cluster.query(SCHEMA);
      return () => cluster.query(LOAD);
    },
  };
}

const CURRENT = 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())';

const SCHEMA = `
  CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
  CREATE TABLE tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
  CREATE TABLE branches (bid int PRIMARY KEY, bbalance int, filler char(88));
  CREATE TABLE history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
  INSERT INTO accounts SELECT i, 1 + i / 100000, 0, '' FROM generate_series(1, 1000000) i;
  INSERT INTO tellers SELECT i, 1 + i / 10, 0, '' FROM generate_series(1, 100) i;
  INSERT INTO branches SELECT i, 0, '' FROM generate_series(1, 10) i`;

const LOAD = `
  DO $$
  DECLARE a int; t int; b int; d int;
  BEGIN
    FOR i IN 1..20000 LOOP
      a := 1 + floor(random() * 1000000); t := 1 + floor(random() * 100); b := 1 + floor(random() * 10);
      d := floor(random() * 10000) - 5000;
      UPDATE accounts SET abalance = abalance + d WHERE aid = a;
      UPDATE tellers SET tbalance = tbalance + d WHERE tid = t;
      UPDATE branches SET bbalance = bbalance + d WHERE bid = b;
      INSERT INTO history VALUES (t, b, a, d, clock_timestamp());
      COMMIT;
    END LOOP;
  END $$`;

function completed(walDirectory: string, start: string, current: string): string[] {
  const names = readdirSync(walDirectory).filter((name) => /^[0-9A-F]{24}$/.test(name));
  return names.sort().filter((name) => name >= start && name < current);
}

function sources(): string[] {
  const root = fileURLToPath(new URL('../node_modules/', import.meta.url));
  const folders = ['typescript/lib', '@types/node', 'vitest/dist', 'yargs', 'assemblyscript/std/assembly'];
  return folders.flatMap((name) =>
    readdirSync(join(root, name), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(js|ts|md|json)$/.test(path))
      .sort()
      .map((path) => join(root, name, path)),
  );
}

function sample(name: Sample['name'], path: string): Sample {
  return { name, path, bytes: statSync(path).size };
}

/** The file of that name, written by `write` when it is not there yet. */
function made(name: string, write: (path: string) => void): string {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  rmSync(`${path}.new`, { force: true });
  write(`${path}.new`);
  renameSync(`${path}.new`, path);
  return path;
}

function concatenate(target: string, sources: readonly string[], bytes: number): void {
  const file = openSync(target, 'w');
  let written = 0;
  for (const source of sources) written += writeSync(file, readFileSync(source).subarray(0, bytes - written));
  closeSync(file);
}

function fill(target: string, next: () => Uint8Array): void {
  const file = openSync(target, 'w');
  for (let written = 0; written < 64; written += 1) writeSync(file, next());
  closeSync(file);
}
