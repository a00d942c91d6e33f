/** A server is made anew under the prefix of another one: its WAL, which counts from the beginning, outlives a delete. */
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { createArchive, createPrimary, switchSegment, untilArchived } from '../harness/archiving.ts';
import type { Cluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';

type Archive = ReturnType<typeof createArchive>;

const clusters: Cluster[] = [];

afterAll(async () => {
  for (const cluster of clusters) await cluster.dispose();
});

async function server(archive: Archive): Promise<Cluster> {
  const pushWords = '--terse wal-push %p';
  const cluster = await createPrimary({ version: NEWEST_POSTGRES, archive, segmentMb: 1, pushWords });
  clusters.push(cluster);
  await cluster.start();
  return cluster;
}

function waleOn({ prefix }: Archive) {
  return async (cluster: Cluster, ...args: string[]) => {
    const environment = { WALE_FILE_PREFIX: prefix, ...cluster.environment };
    const result = await runProgram(args, { environment });
    expect(result.status, result.stderr).toBe(0);
    return result;
  };
}

async function segments(archive: Archive): Promise<string[]> {
  return (await archive.names()).filter((name) => /^[0-9A-F]{24}$/.test(name));
}

async function archiveSome(cluster: Cluster, count: number): Promise<void> {
  for (let more = 1; more < count; more += 1) await switchSegment(cluster);
  await untilArchived(cluster, await switchSegment(cluster));
}

/** A server whose archive begins with its only backup, at a higher number than a new server's. */
async function trimmedServer(archive: Archive): Promise<Cluster> {
  const wale = waleOn(archive);
  const cluster = await server(archive);
  await archiveSome(cluster, 12);
  await wale(cluster, 'backup-push', '--fast-checkpoint', cluster.dataDirectory);
  await wale(cluster, 'delete', '--confirm', 'retain', '1');
  return cluster;
}

it('a server made anew keeps the WAL of a backup that nobody sees yet', async () => {
  const archive = createArchive();
  const wale = waleOn(archive);
  const first = await trimmedServer(archive);
  await first.stop('fast');
  const [oldest = ''] = await segments(archive);

  const second = await server(archive);
  await archiveSome(second, 3);
  const below = (await segments(archive)).filter((name) => name < oldest);
  expect(below.length).toBeGreaterThan(2);
  const { stderr } = await wale(second, '--terse', 'delete', '--confirm', 'retain', '1');
  expect(stderr).toContain('keeping WAL that another server archives under this prefix');
  expect((await segments(archive)).filter((name) => name < oldest)).toEqual(below);

  // Whoever says that nothing is being made gets what the numbers say.
  await wale(second, 'delete', '--confirm', 'retain', '1', '--orphans-older-than', '0');
  expect((await segments(archive)).filter((name) => name < oldest)).toEqual([]);
});

/** What its date would show to be the other server's is the second one's own, from its backup on, as its headers say. */
async function keepsMisdated(archive: Archive, first: Cluster, oldest: string): Promise<void> {
  const [label = ''] = (await archive.names()).filter((name) => name < oldest && name.endsWith('.backup'));
  const start = label.slice(0, 24);
  const own = (await segments(archive)).filter((name) => name >= start && name < oldest);
  expect(own.length).toBeGreaterThan(0);
  for (const name of own) utimesSync(join(archive.directory, walKey(name)), 0, 0);
  const { stderr } = await waleOn(archive)(first, '--terse', 'delete', '--confirm', 'retain', '3');
  expect(stderr).toContain("that only dates show to be another system's");
  expect(await segments(archive)).toEqual(expect.arrayContaining(own));
}

it('a server whose backups all go keeps the WAL that it archives after the last backup that stays', async () => {
  const archive = createArchive();
  const wale = waleOn(archive);
  const first = await trimmedServer(archive);
  const [oldest = ''] = await segments(archive);
  const second = await server(archive);
  await archiveSome(second, 2);
  await wale(second, 'backup-push', '--fast-checkpoint', second.dataDirectory);
  await wale(first, 'backup-push', '--fast-checkpoint', first.dataDirectory);
  await keepsMisdated(archive, first, oldest);
  const before = new Set(await segments(archive));
  await archiveSome(second, 2);
  const since = (await segments(archive)).filter((name) => !before.has(name));
  expect(since.length).toBeGreaterThan(1);

  const { stderr } = await wale(first, '--terse', 'delete', '--confirm', 'retain', '1');
  expect(stderr).toContain('keeping WAL that another server archives under this prefix');
  expect(await segments(archive)).toEqual(expect.arrayContaining(since));
});
