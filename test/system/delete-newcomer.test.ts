/** A server is made anew under the prefix of another one: its WAL, which counts from the beginning, outlives a delete. */
import { afterAll, expect, it } from 'vitest';
import { createArchive, createPrimary, switchSegment, untilArchived } from '../harness/archiving.ts';
import type { Cluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';

const archive = createArchive();
const clusters: Cluster[] = [];

afterAll(async () => {
  for (const cluster of clusters) await cluster.dispose();
});

async function server(): Promise<Cluster> {
  const pushWords = '--terse wal-push %p';
  const cluster = await createPrimary({ version: NEWEST_POSTGRES, archive, segmentMb: 1, pushWords });
  clusters.push(cluster);
  await cluster.start();
  return cluster;
}

async function wale(cluster: Cluster, ...args: string[]) {
  const environment = { WALE_FILE_PREFIX: archive.prefix, ...cluster.environment };
  const result = await runProgram(args, { environment, limitMs: 120_000 });
  expect(result.status, result.stderr).toBe(0);
  return result;
}

async function segments(): Promise<string[]> {
  return (await archive.names()).filter((name) => /^[0-9A-F]{24}$/.test(name));
}

async function archiveSome(cluster: Cluster, count: number): Promise<void> {
  for (let more = 1; more < count; more += 1) await switchSegment(cluster);
  await untilArchived(cluster, await switchSegment(cluster));
}

it('a server made anew keeps the WAL of a backup that nobody sees yet', async () => {
  const first = await server();
  await archiveSome(first, 12);
  await wale(first, 'backup-push', '--fast-checkpoint', first.dataDirectory);
  await wale(first, 'delete', '--confirm', 'retain', '1');
  await first.stop('fast');
  const [oldest = ''] = await segments();

  const second = await server();
  await archiveSome(second, 3);
  const below = (await segments()).filter((name) => name < oldest);
  expect(below.length).toBeGreaterThan(2);
  const { stderr } = await wale(second, '--terse', 'delete', '--confirm', 'retain', '1');
  expect(stderr).toContain('keeping WAL that another server archives under this prefix');
  expect((await segments()).filter((name) => name < oldest)).toEqual(below);

  // Whoever says that nothing is being made gets what the numbers say.
  await wale(second, 'delete', '--confirm', 'retain', '1', '--orphans-older-than', '0');
  expect((await segments()).filter((name) => name < oldest)).toEqual([]);
}, 120_000);
