/** Every command on S3, as an operator types it: a backup of a real server there and back, and nothing but ours in the log. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPrimary, fingerprint, LOG_TO_SERVER, load, switchSegment } from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, openCluster } from '../harness/postgres.ts';
import { runProgram, startProgram } from '../harness/program.ts';
import { seededBytes } from '../harness/random.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES, stageProgram } from '../harness/staging.ts';

const opened: { dispose?(): Promise<void>; close?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await (one.dispose?.() ?? one.close?.());
});

function kept<T extends (typeof opened)[number]>(one: T): T {
  opened.push(one);
  return one;
}

const PREFIX = `s3://${TEST_BUCKET}/some/prefix`;

async function archivedPrimary(
  server: S3Server,
): Promise<{ primary: Cluster; environment: Record<string, string> }> {
  const environment = { ...LOG_TO_SERVER, ...testEnvironment(server.url), WALE_S3_PREFIX: PREFIX };
  const primary = kept(
    await createPrimary({
      version: NEWEST_POSTGRES,
      sameSystem: true,
      archive: { command: (words) => `${stageProgram()} ${words}` },
    }),
  );
  await primary.start({ environment });
  return { primary, environment };
}

describe('on S3', () => {
  it('a server is backed up, listed, verified, restored with its WAL, and deleted', async () => {
    const server = kept(await createS3Server());
    const { primary, environment } = await archivedPrimary(server);
    await load(primary, 1, 20);
    const wal_e = async (...words: string[]) => {
      const result = await runProgram(words, { environment: { ...environment, ...primary.environment } });
      expect(result.stderr).not.toMatch(/Warning|NodeVersionSupport|\(node:/);
      expect(result, result.stderr).toMatchObject({ status: 0 });
      return result.stdout;
    };
    await wal_e('backup-push', '--fast-checkpoint', primary.dataDirectory);
    await load(primary, 2, 2);
    await switchSegment(primary);
    const expected = await fingerprint(primary);
    await poll('the last segment in the archive', async () => {
      const waiting = `select count(*) from pg_ls_archive_statusdir() where name like '%.ready'`;
      return (await primary.value(waiting)) === '0';
    });
    await primary.stop();

    expect(await wal_e('backup-list')).toMatch(/\nbase_[0-9A-F]{24}_\d{8}\t/);
    await wal_e('wal-verify');
    const target = join(createScratch(primary.account), 'data');
    await wal_e('backup-fetch', target, 'LATEST');
    appendFileSync(
      join(target, 'postgresql.auto.conf'),
      `restore_command = '${stageProgram()} wal-fetch %f %p'\n`,
    );
    writeFileSync(join(target, 'recovery.signal'), '');
    const restored = kept(await openCluster(target, { settings: { archive_mode: 'off' } }));
    await restored.start({ environment });
    await poll(
      'the end of recovery',
      async () => (await restored.value('select pg_is_in_recovery()')) === 'f',
    );
    expect(await fingerprint(restored)).toBe(expected);

    await wal_e('delete', '--confirm', 'everything');
    expect(server.bucket.keys().filter((key) => key.startsWith('some/prefix/'))).toEqual([]);
    expect(server.bucket.uploads.size).toBe(0);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a backup that is stopped by %s leaves no upload and no backup', async (signal, exitStatus) => {
    const server = kept(await createS3Server());
    const { primary, environment } = await archivedPrimary(server);
    // So that a part is uploaded in several.
    writeFileSync(join(primary.dataDirectory, 'noise.bin'), seededBytes(18 * 1024 * 1024, 1));
    const proxy = kept(await createFaultProxy(server.url));
    const slow = { ...environment, ...primary.environment, WALE_S3_ENDPOINT: proxy.url };
    const running = startProgram(['backup-push', '--fast-checkpoint', primary.dataDirectory], {
      environment: slow,
    });
    let stopped = false;
    proxy.plan = ({ target }) => {
      if (/partNumber=2\b/.test(target) && !stopped) {
        stopped = true;
        running.child.kill(signal);
      }
      return stopped && /partNumber=/.test(target) ? { kind: 'silence' } : undefined;
    };
    const { status, stderr } = await running.finished;
    expect(stopped).toBe(true);
    expect(status, stderr).toBe(exitStatus);
    expect(server.bucket.uploads.size).toBe(0);
    expect(server.bucket.keys().filter((key) => key.endsWith('sentinel.json'))).toEqual([]);
  });
});

describe('a setting that is missing or wrong is said before any work, in one line that names it', () => {
  it.each([
    [{ AWS_SECRET_ACCESS_KEY: '' }, 'AWS Secret Key credential is required but not provided'],
    [{ WALE_S3_ENDPOINT: 'http+foo://host' }, 'WALE_S3_ENDPOINT URI scheme is invalid'],
    [{ WALE_S3_SSE: 'please' }, 'WALE_S3_SSE is not a kind of server-side encryption'],
    [{ WALE_RETRIES: 'often' }, 'WALE_RETRIES is not a whole number'],
    [{ AWS_REGION: 'no region' }, 'AWS_REGION is not the name of a region'],
  ])('%s', async (changes, message) => {
    const environment = { ...testEnvironment('http://127.0.0.1:1'), WALE_S3_PREFIX: PREFIX, ...changes };
    const { status, stderr } = await runProgram(
      ['wal-fetch', '000000010000000000000001', join(createScratch(), 'x')],
      {
        environment,
      },
    );
    expect(status).not.toBe(0);
    expect(stderr).toContain(`ERROR    MSG: ${message}\n`);
  });
});

describe('a store that does not answer', () => {
  it('is given up at the deadline of the command, with what was seen last', async () => {
    const server = kept(await createS3Server());
    const proxy = kept(await createFaultProxy(server.url, () => ({ kind: 'silence' })));
    const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: PREFIX, WALE_DEADLINE: '2' };
    // It would wait for many minutes, and is killed after one.
    const { status, stderr } = await runProgram(
      ['wal-fetch', '-p', '0', '000000010000000000000001', join(createScratch(), 'x')],
      { environment, limitMs: 60_000 },
    );
    expect(status).toBe(2);
    expect(stderr).toContain('the store did not do what was asked within the deadline of 2 s');
  });
});
