/** The policies of docs/s3-permissions.md, as they stand there, suffice for what the page says, against a store that enforces them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { logEntries, type ProgramResult, runProgram } from '../harness/program.ts';
import type { Policy } from '../harness/s3/policy.ts';
import { createS3Server, type S3Server } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { stageProgram } from '../harness/staging.ts';

const page = readFileSync(fileURLToPath(new URL('../../docs/s3-permissions.md', import.meta.url)), 'utf8');
const [archiving, restoring, deleting] = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(
  ([, text = '']): Policy => (JSON.parse(text) as { Statement: Policy }).Statement,
);

const SEGMENT = '000000090000000000000001';

let server: S3Server;
let cluster: Cluster;
let folder: string;
let environment: Record<string, string>;

beforeAll(async () => {
  server = await createS3Server({ buckets: ['my-bucket'] });
  folder = mkdtempSync(join(tmpdir(), 'wale-policy-'));
  environment = {
    NO_PROXY: '127.0.0.1',
    WALE_S3_PREFIX: 's3://my-bucket/production/main',
    WALE_S3_ENDPOINT: `http+path://127.0.0.1:${server.port}`,
    AWS_ACCESS_KEY_ID: server.account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.account.secretAccessKey,
    WALE_RETRIES: '2',
  };
  const envdir = createScratch(serverAccount());
  for (const [name, value] of Object.entries(environment)) writeFileSync(join(envdir, name), value);
  cluster = await createCluster({
    segmentMb: 1,
    settings: {
      archive_mode: 'on',
      archive_command: `${stageProgram()} --envdir ${envdir} wal-push %p`,
      min_wal_size: '2MB',
      max_wal_size: '16MB',
    },
  });
  server.policy = archiving;
  await cluster.start();
  writeFileSync(join(folder, SEGMENT), segmentBytes(SEGMENT, 1024 * 1024, 1));
});
afterAll(async () => {
  await cluster.dispose();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(args: readonly string[], policy: Policy | undefined): Promise<ProgramResult> {
  server.policy = policy;
  return runProgram(args, { environment: { ...environment, ...cluster.environment }, cwd: folder });
}

function wasDenied({ status, stderr }: ProgramResult): boolean {
  return status !== 0 && /AccessDenied|403/.test(stderr);
}

test('the page has a policy for archiving, for restoring and for deleting', () => {
  expect([archiving, restoring, deleting].every((policy) => (policy?.length ?? 0) > 0)).toBe(true);
});

test('archiving: segments, again and with other content, and base backups; nothing can be deleted', async () => {
  expect((await run(['wal-push', SEGMENT], archiving)).status).toBe(0);
  expect((await run(['wal-push', SEGMENT], archiving)).status).toBe(0);
  const backup = await run(['backup-push', '--fast-checkpoint', cluster.dataDirectory], archiving);
  expect(backup.status, backup.stderr).toBe(0);
  expect(wasDenied(await run(['delete', '--confirm', 'everything'], archiving))).toBe(true);
  expect((await run(['backup-list'], archiving)).stdout).toMatch(/^base_/m);
});

test('restoring: lists, verifies and fetches, tells what is missing, and stores nothing', async () => {
  expect((await run(['backup-list', '--detail'], restoring)).stdout).toMatch(/^base_/m);
  expect((await run(['wal-fetch', '-p', '0', SEGMENT, join(folder, 'to')], restoring)).status).toBe(0);
  const miss = await run(['wal-fetch', '-p', '0', '000000090000000000000002', join(folder, 'to')], restoring);
  expect(miss.status).toBe(1);
  const fetched = await run(['backup-fetch', join(folder, 'data'), 'LATEST'], restoring);
  expect(fetched.status, fetched.stderr).toBe(0);
  const verified = await run(['wal-verify'], restoring);
  expect(logEntries(verified.stderr).filter(({ level }) => level === 'ERROR')).toEqual([]);
  writeFileSync(
    join(folder, SEGMENT.replace(/1$/, '3')),
    segmentBytes(SEGMENT.replace(/1$/, '3'), 1024 * 1024, 1),
  );
  expect(wasDenied(await run(['wal-push', SEGMENT.replace(/1$/, '3')], restoring))).toBe(true);
});

test('without the right to list, an answer that names that right stands for a missing segment', async () => {
  const blind = restoring?.filter(({ Action }) => Action === 's3:GetObject');
  const miss = await run(['wal-fetch', '-p', '0', '000000090000000000000002', join(folder, 'to')], blind);
  expect(miss.status).toBe(1);
});

test('deleting: everything goes, and nothing can be stored', async () => {
  const result = await run(['delete', '--confirm', 'everything'], deleting);
  expect(result.status, result.stderr).toBe(0);
  expect((await run(['backup-list'], deleting)).stdout).not.toMatch(/^base_/m);
  expect(wasDenied(await run(['wal-push', SEGMENT], deleting))).toBe(true);
});

test('the rights end at the prefix', async () => {
  environment = { ...environment, WALE_S3_PREFIX: 's3://my-bucket/production/other' };
  for (const [policy, args] of [
    [archiving, ['wal-push', SEGMENT]],
    [restoring, ['backup-list']],
    [deleting, ['delete', '--confirm', 'everything']],
  ] as const) {
    expect(wasDenied(await run(args, policy)), args[0]).toBe(true);
  }
});
