/** A restore of several parts that is killed in the middle: what is complete is not fetched again, and the server starts. */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { BACKUP_PREFIX, listedKey } from '../../../src/archive/layout.ts';
import { parseSentinel } from '../../../src/archive/sentinel.ts';
import { createArchivedCluster, recover } from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import type { Cluster } from '../../harness/postgres.ts';
import { runProgram, startProgram } from '../../harness/program.ts';
import { createFaultProxy } from '../../harness/s3/fault-proxy.ts';
import { createS3Server, TEST_BUCKET } from '../../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';
import { checkAccounts, createAccounts } from '../../harness/write-load.ts';

const MARKER = 'wal-e-restore-incomplete.json';
/** More than the least part, so that it becomes one of its own. Mostly a hole. */
const LARGE_BYTES = 80 * 2 ** 20;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function backedUp() {
  const server = await createS3Server();
  ends.push(() => server.close());
  const proxy = await createFaultProxy(server.url);
  ends.push(() => proxy.close());
  const { cluster, archive, environment } = await createArchivedCluster();
  ends.push(() => cluster.dispose());
  await cluster.start();
  await createAccounts(cluster);
  for (const name of ['large_one', 'large_two']) {
    const path = join(cluster.dataDirectory, name);
    writeFileSync(path, name);
    truncateSync(path, LARGE_BYTES);
  }
  const s3 = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/several` };
  // The server archives to files: this backup's WAL is not where its parts are.
  const words = ['backup-push', '--fast-checkpoint', '--no-wal-check', cluster.dataDirectory];
  const environments = { ...environment, WALE_FILE_PREFIX: '', ...s3 };
  const { status, stderr } = await runProgram(words, { environment: environments });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const store = openTestStore(server.url, { prefix: 'several' });
  ends.push(() => store.close());
  const call = { signal: new AbortController().signal };
  const [sentinel] = await keysOf(store.list(BACKUP_PREFIX, call), /sentinel\.json$/);
  const found = sentinel === undefined ? undefined : await store.get(listedKey(sentinel), call);
  const { own } = parseSentinel(await text(Readable.from(found?.body ?? [])));
  const large = own?.parts.find(({ expandedSize }) => expandedSize === LARGE_BYTES)?.number;
  expect(own?.parts.length).toBe(4);
  const transfers = await checkAccounts(cluster);
  await archiveAll(cluster, archive);
  await cluster.stop();
  return { proxy, archive, s3, large, transfers };
}

async function keysOf(
  pages: AsyncIterable<readonly { readonly key: string }[]>,
  wanted: RegExp,
): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of pages) keys.push(...page.map(({ key }) => key).filter((key) => wanted.test(key)));
  return keys;
}

async function archiveAll(cluster: Cluster, archive: string): Promise<void> {
  const segment = await cluster.value('select pg_walfile_name(pg_switch_wal())');
  await poll(`${segment} to be archived`, () => existsSync(join(archive, 'wal_005', `${segment}.lzo`)));
}

it('that is killed is gone on with: no complete part is asked for again, and the server has the data', async () => {
  const { proxy, archive, s3, large, transfers } = await backedUp();
  const partIn = (address: string) => {
    const [, number] = /part_(\d{8})\.tar\.lzo/.exec(address) ?? [];
    return number === undefined ? undefined : Number(number);
  };
  proxy.plan = ({ target }) =>
    partIn(target) === large ? { kind: 'stall-after', bytes: 200_000 } : undefined;
  const folder = createScratch();
  ends.push(async () => rmSync(folder, { recursive: true, force: true }));
  const directory = join(folder, 'data');
  const words = ['backup-fetch', '-p', '2', directory, 'LATEST'];
  const first = startProgram(words, { environment: s3 });
  const complete = await poll('all parts but one', () => {
    const path = join(directory, MARKER);
    if (!existsSync(path)) return undefined;
    const { parts } = JSON.parse(readFileSync(path, 'utf8'));
    return parts.length >= 3 && parts.map(({ number }: { number: number }) => number);
  });
  first.child.kill('SIGKILL');
  expect((await first.finished).status).toBe(null);
  expect(complete).not.toContain(large);
  expect(existsSync(join(directory, 'global/pg_control'))).toBe(false);

  const asked = new Set<number>();
  proxy.plan = ({ target }) => {
    const number = partIn(target);
    if (number !== undefined) asked.add(number);
    return undefined;
  };
  const again = await runProgram(words, { environment: s3 });
  expect({ status: again.status, stderr: again.stderr }).toMatchObject({ status: 0 });
  expect([...asked]).toEqual([large]);
  expect(readdirSync(directory).filter((name) => name.startsWith(MARKER))).toEqual([]);
  for (const name of ['large_one', 'large_two']) {
    const bytes = readFileSync(join(directory, name));
    expect([bytes.length, bytes.subarray(0, name.length).toString()]).toEqual([LARGE_BYTES, name]);
  }
  const restored = await recover(directory, archive);
  ends.push(() => restored.dispose());
  expect(await checkAccounts(restored)).toBe(transfers);
});
