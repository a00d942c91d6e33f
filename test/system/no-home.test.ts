/** A user whom the system does not know, as in a container that runs with any number, and no HOME. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';

const HOMELESS = fileURLToPath(new URL('../harness/homeless.cjs', import.meta.url));

let server: S3Server;
let cluster: Cluster;
beforeAll(async () => {
  server = await createS3Server();
  cluster = await createCluster({ settings: { wal_level: 'replica' } });
  await cluster.start();
});
afterAll(async () => {
  await cluster.dispose();
  await server.close();
});

function wal_e(...words: string[]) {
  const environment = {
    ...testEnvironment(server.url),
    ...cluster.environment,
    WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix`,
    HOME: '',
    NODE_OPTIONS: `--require ${HOMELESS}`,
  };
  return runProgram(words, { environment });
}

it('backs up a server, lists the backups and restores one', async () => {
  const pushed = await wal_e('backup-push', '--fast-checkpoint', '--no-wal-check', cluster.dataDirectory);
  expect(pushed, pushed.stderr).toMatchObject({ status: 0 });
  const listed = await wal_e('backup-list');
  expect(listed, listed.stderr).toMatchObject({ status: 0, stdout: expect.stringMatching(/\nbase_/) });
  const fetched = await wal_e('backup-fetch', `${createScratch()}/restored`, 'LATEST');
  expect(fetched, fetched.stderr).toMatchObject({ status: 0 });
});

it('is told by check what is amiss with the archive, not with itself', async () => {
  const checked = await wal_e('check');
  expect(checked.stderr).not.toContain('unprocessed exception');
  expect(checked.stdout).toMatch(/^ok +store list/m);
  expect(checked.stdout).toMatch(/^ok +postgresql/m);
});
