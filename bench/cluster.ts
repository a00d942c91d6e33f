/** Stopped clusters to back up, made once and kept in .cache/bench. Page checksums are on. */
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, createCluster } from '../test/harness/postgres.ts';
import { cached } from './data.ts';

const GIGABYTE = 1e9;

/** About 2 GB: pgbench's accounts, one row in thirty updated, and their index. No WAL files, which no backup has. */
export async function cluster2(): Promise<string> {
  const target = cached('cluster-2');
  if (!existsSync(target)) await makeCluster(target);
  return target;
}

/** Of the same the first gigabyte of each relation. */
export async function cluster1(): Promise<string> {
  return derived('cluster-1', (folder, name) => {
    if (/^\d+\.\d+$/.test(name)) rmSync(join(folder, name));
  });
}

/** The same with its relation files four times over, as hard links, under names of relations. */
export async function cluster8(): Promise<string> {
  return derived('cluster-8', (folder, name) => {
    const [, node, rest] = /^(\d+)((?:_\w+)?(?:\.\d+)?)$/.exec(name) ?? [];
    if (node === undefined) return;
    for (let copy = 1; copy < 4; copy += 1) {
      linkSync(join(folder, name), join(folder, `${Number(node) + copy * 1_000_000}${rest}`));
    }
  });
}

/** Hard links of the cluster of 2 GB, with a change to each file of its databases. */
async function derived(name: string, change: (folder: string, name: string) => void): Promise<string> {
  const source = await cluster2();
  const target = cached(name);
  if (existsSync(target)) return target;
  const unfinished = `${target}.${process.pid}`;
  execFileSync('cp', ['-al', source, unfinished]);
  for (const database of readdirSync(join(unfinished, 'base'))) {
    const folder = join(unfinished, 'base', database);
    for (const file of readdirSync(folder)) change(folder, file);
  }
  renameSync(unfinished, target);
  return target;
}

/** About 40 MB: what initdb makes. */
export async function smallCluster(): Promise<string> {
  const target = cached('cluster-small');
  if (existsSync(target)) return target;
  const cluster = await createCluster({ initdbArguments: ['-k'] });
  try {
    keep(cluster, target);
  } finally {
    await cluster.dispose();
  }
  return target;
}

/** Bytes of all files. */
export function bytesOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}

async function makeCluster(target: string): Promise<void> {
  console.log('making a database of 2 GB, once');
  const cluster = await createCluster({
    initdbArguments: ['-k'],
    settings: {
      ...{ wal_level: 'minimal', max_wal_senders: '0', max_wal_size: '4GB', autovacuum: 'off' },
      ...{ shared_buffers: '256MB', maintenance_work_mem: '512MB', synchronous_commit: 'off' },
    },
  });
  try {
    await cluster.start();
    await cluster.query(`create table accounts as
      select g as aid, g / 100000 + 1 as bid, 0 as abalance, ''::char(84) as filler from generate_series(1, 12500000) g`);
    await cluster.query('alter table accounts add primary key (aid)');
    await cluster.query('update accounts set abalance = aid % 5000 where aid % 30 = 0');
    await cluster.query('checkpoint');
    await cluster.stop();
    if (bytesOf(join(cluster.dataDirectory, 'base')) < 1.8 * GIGABYTE)
      throw new Error('the database became too small');
    keep(cluster, target);
  } finally {
    await cluster.dispose();
  }
}

/** A copy of the stopped server's files, without WAL. */
function keep({ dataDirectory }: Cluster, target: string): void {
  rmSync(join(dataDirectory, 'pg_wal'), { recursive: true });
  mkdirSync(join(dataDirectory, 'pg_wal'), { mode: 0o700 });
  const unfinished = `${target}.${process.pid}`;
  execFileSync('cp', ['-a', dataDirectory, unfinished]);
  renameSync(unfinished, target);
}
