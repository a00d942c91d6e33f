/** `wal-e check` as an operator runs it, on a server that archives and on servers that do not. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { PROGRAM, runProgram } from '../harness/program.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';
import { copyProgram, stageProgram } from '../harness/staging.ts';

interface Report {
  readonly state: string;
  readonly findings: readonly { name: string; state: string; message: string; remedy?: string }[];
}

async function check(environment: Record<string, string>, args: readonly string[] = [], uid?: number) {
  const result = await runProgram(['--terse', 'check', '--json', ...args], { environment, uid });
  const report: Report = JSON.parse(result.stdout);
  const find = (name: string) => report.findings.find((finding) => finding.name === name);
  for (const { name, state, remedy = '' } of report.findings)
    expect(remedy !== '', name).toBe(state !== 'ok');
  return { ...result, report, find };
}

const MB = 1024 * 1024;
/** Neither root nor the server's user. */
const STRANGER = 65_533;
const STATUS: Record<string, number> = { ok: 0, warning: 1, failed: 2 };

describe('without a server', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wale-check-'));
    return () => rmSync(folder, { recursive: true, force: true });
  });

  test('a machine that only restores is checked without one', async () => {
    const environment = { WALE_FILE_PREFIX: `file://localhost${folder}/archive` };
    const { report, status, stderr, find } = await check(environment, ['--without-postgres']);
    expect(report.findings.map(({ name }) => name)).toEqual([
      'configuration',
      'store put',
      'store create-only',
      'store get',
      'store list',
      'clock',
      'store delete',
      'last backup',
      'free space (archive)',
      'lzop',
      'gpg',
    ]);
    expect(find('last backup')?.state).toBe('warning');
    expect(status).toBe(STATUS[report.state]);
    expect(stderr).toBe('');
    expect(
      readdirSync(folder, { recursive: true }).filter((name) => String(name).includes('wale_check')),
    ).toEqual([]);
  });

  test('for people it is one line for each finding, with the remedy below', async () => {
    const { stdout, status } = await runProgram(['--terse', 'check', '--without-postgres']);
    expect(stdout).toMatch(
      /^failed {3}configuration {6}no storage prefix defined\n {9}remedy: .*WALE_S3_PREFIX/,
    );
    expect(stdout).toMatch(/^ok {7}lzop {15}\S/m);
    expect(status).toBe(2);
  });

  test('a server that is not there is a failure that names where it was sought', async () => {
    const environment = { WALE_FILE_PREFIX: `file://localhost${folder}/archive`, PGHOST: folder };
    const { find, status } = await check(environment);
    expect(find('postgresql')).toMatchObject({ state: 'failed', message: expect.stringContaining(folder) });
    expect(status).toBe(2);
  });

  test('rights that an S3 key lacks are told one by one', async () => {
    const server = await createS3Server({
      policy: [{ Effect: 'Allow', Action: ['s3:PutObject', 's3:ListBucket'], Resource: '*' }],
    });
    try {
      const { find, status } = await check(
        {
          NO_PROXY: '127.0.0.1',
          WALE_S3_PREFIX: `s3://${TEST_BUCKET}/x`,
          WALE_S3_ENDPOINT: `http+path://127.0.0.1:${server.port}`,
          AWS_ACCESS_KEY_ID: server.account.accessKeyId,
          AWS_SECRET_ACCESS_KEY: server.account.secretAccessKey,
          // As is known of AWS: of another store it is found out, and for that the right to read is needed.
          WALE_S3_CONDITIONAL_PUT: 'true',
        },
        ['--without-postgres'],
      );
      expect(find('store put')).toMatchObject({ state: 'ok' });
      expect(find('store list')?.state).toBe('ok');
      expect(find('store get')).toMatchObject({
        state: 'failed',
        message: expect.stringContaining('AccessDenied'),
      });
      expect(find('store delete')?.state).not.toBe('ok');
      expect(status).toBe(2);
    } finally {
      await server.close();
    }
  });
});

describe('with a server', () => {
  let cluster: Cluster;
  let archive: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    const account = serverAccount();
    archive = join(createScratch(account), 'archive');
    const prefix = `file://localhost${archive}`;
    cluster = await createCluster({
      version: 16,
      segmentMb: 1,
      settings: { archive_mode: 'on', archive_command: command(`--file-prefix ${prefix}`) },
    });
    await cluster.start();
    environment = { ...cluster.environment, WALE_FILE_PREFIX: prefix };
    await cluster.query('SELECT pg_switch_wal()');
    await poll(
      'a segment in the archive',
      async () => (await cluster.value('SELECT archived_count FROM pg_stat_archiver')) !== '0',
    );
  });
  afterAll(() => cluster.dispose());

  function command(options: string, after = ''): string {
    return `${stageProgram()} ${options} wal-push %p${after}`;
  }

  test('a server that archives here is ok in every line about it', async () => {
    const { find } = await check(environment);
    for (const name of [
      'postgresql',
      'backup rights',
      'wal_level',
      'archive_mode',
      'archiver',
      'data directory',
    ])
      expect(find(name), name).toMatchObject({ state: 'ok' });
    expect(find('archiver')?.message).toMatch(/last archived 0{7}1[0-9A-F]{16}/);
    expect(find('waiting segments')?.state).toBe('ok');
    expect(find('free space (pg_wal)')?.message).toMatch(/GiB free/);
    // The server runs a copy of this program, which is another file.
    expect(find('archive_command')?.message).toContain(PROGRAM.replace(/.*\/bin/, ''));
  });

  test('an archive_command that hides failures, or goes elsewhere, fails with a remedy', async () => {
    for (const [changed, message] of [
      [command(`--file-prefix file://localhost${archive}`, ' || true'), 'hides the exit status'],
      ['', 'empty'],
    ] as const) {
      await cluster.configure({ archive_command: changed });
      const { find, status } = await check(environment);
      expect(find('archive_command')).toMatchObject({
        state: 'failed',
        message: expect.stringContaining(message),
        remedy: expect.stringContaining('archive_command'),
      });
      expect(status).toBe(2);
    }
    // The very program, so that only the prefix is amiss.
    const elsewhere = `${PROGRAM} --file-prefix file://localhost/elsewhere wal-push %p`;
    await cluster.configure({ archive_command: elsewhere });
    expect((await check(environment)).find('archive_command')).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('it archives to file://localhost/elsewhere'),
    });
    await cluster.configure({ archive_command: command(`--file-prefix file://localhost${archive}`) });
  });

  test('an archiver that fails is a failure with the segment', async () => {
    await cluster.configure({ archive_command: '/bin/false wal-e wal-push %p' });
    await cluster.query('CREATE TABLE IF NOT EXISTS t (x int)');
    // The archiver may take another segment before it hears of the new command.
    await poll('a failed push after the last success', async () => {
      await cluster.query('INSERT INTO t VALUES (1); SELECT pg_switch_wal()');
      const isFailing = 'coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL)';
      return (
        (await cluster.value(`SELECT CASE WHEN ${isFailing} THEN 1 ELSE 0 END FROM pg_stat_archiver`)) === '1'
      );
    });
    const { find } = await check(environment);
    expect(find('archiver')).toMatchObject({
      state: 'failed',
      message: expect.stringMatching(/the last attempt failed: 0{7}1/),
    });
    await cluster.configure({ archive_command: command(`--file-prefix file://localhost${archive}`) });
  });

  test('a role without the rights is told which grants it needs, and they suffice', async () => {
    await cluster.query('CREATE ROLE backup LOGIN');
    const asBackup = { ...environment, PGUSER: 'backup' };
    const before = await check(asBackup);
    const rights = before.find('backup rights');
    expect(rights?.state).toBe('failed');
    const grants = /GRANT .*;/.exec(rights?.remedy ?? '')?.[0] ?? '';
    await cluster.query(grants);
    expect((await check(asBackup)).find('backup rights')?.state).toBe('ok');
  });

  test('more waiting segments than two calls take along are a warning', async () => {
    const status = join(cluster.walDirectory, 'archive_status');
    // Not the names of WAL files, so that the archiver leaves them alone.
    const paths = Array.from({ length: 65 }, (_, n) => join(status, `waiting-${n}.ready`));
    for (const path of paths) writeFileSync(path, '');
    expect((await check(environment)).find('waiting segments')).toMatchObject({
      state: 'warning',
      message: expect.stringMatching(/^6[5-9] files wait to be archived$/),
      remedy: expect.stringContaining('archiver'),
    });
    for (const path of paths) rmSync(path);
  });

  test.runIf(process.getuid?.() === 0)(
    "the data directory is out of another user's reach: a failure that says so",
    async () => {
      const { find, status } = await check(environment, [], STRANGER);
      expect(find('data directory')).toMatchObject({
        state: 'failed',
        message: expect.stringContaining('EACCES'),
        remedy: expect.stringContaining('as the user of the server'),
      });
      expect(status).toBe(2);
    },
  );

  test('a data directory that is not readable here is a warning', async () => {
    await cluster.query('CREATE ROLE stranger LOGIN');
    const { find } = await check({ ...environment, PGUSER: 'stranger' });
    expect(find('data directory')).toMatchObject({
      state: 'warning',
      remedy: expect.stringContaining('pg_read_all_settings'),
    });
  });
});

test('a server that writes too little WAL and archives none fails in both lines, and says what to set', async () => {
  const settings = { wal_level: 'minimal', max_wal_senders: '0', archive_mode: 'off' };
  const cluster = await createCluster({ settings });
  try {
    await cluster.start();
    const folder = createScratch();
    const prefix = { WALE_FILE_PREFIX: `file://localhost${folder}` };
    const { find, status } = await check({ ...cluster.environment, ...prefix });
    expect(find('wal_level')).toMatchObject({
      state: 'failed',
      message: 'minimal: the WAL does not hold what a restore needs',
      remedy: 'Set wal_level = replica and restart PostgreSQL.',
    });
    expect(find('archive_mode')).toMatchObject({
      state: 'failed',
      message: 'off: nothing is archived',
      remedy: 'Set archive_mode = on and restart PostgreSQL.',
    });
    expect(status).toBe(2);
  } finally {
    await cluster.dispose();
  }
});

test.runIf(canMount())(
  'an archive that is getting full is a warning, and a failure when hardly anything is left',
  async () => {
    const folder = join(createScratch(), 'archive');
    mkdirSync(folder);
    mountSmall(folder, 16 * MB);
    const ask = () => check({ WALE_FILE_PREFIX: `file://localhost${folder}` }, ['--without-postgres']);
    for (const [megabytes, state] of [
      [15, 'warning'],
      [15.7, 'failed'],
    ] as const) {
      writeFileSync(join(folder, 'filler'), new Uint8Array(megabytes * MB));
      expect((await ask()).find('free space (archive)')).toMatchObject({
        state,
        message: expect.stringContaining(folder),
        remedy: expect.stringContaining('wal-e delete'),
      });
    }
  },
);

test('an installation whose compressor is damaged or gone fails in that line', async () => {
  const copy = createScratch();
  copyProgram(copy);
  const wasm = join(copy, 'dist/lzo1x.wasm');
  const ask = () => {
    const args = [join(copy, 'bin/wal-e.cjs'), '--terse', 'check', '--json', '--without-postgres'];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env: {} });
    const report: Report = JSON.parse(stdout);
    return { status, found: report.findings.find(({ name }) => name === 'lzop') };
  };
  const expected = {
    status: 2,
    found: { state: 'failed', remedy: expect.stringContaining('Install the package again') },
  };
  expect(ask().found?.state).toBe('ok');
  writeFileSync(wasm, readFileSync(wasm).fill(0, 100, 200));
  expect(ask()).toMatchObject(expected);
  rmSync(wasm);
  expect(ask()).toMatchObject(expected);
});

test('an archive in an impossible place fails at the put, with the path', async () => {
  const { find } = await check({ WALE_FILE_PREFIX: 'file://localhost/dev/null/archive' }, [
    '--without-postgres',
  ]);
  expect(find('store put')).toMatchObject({ state: 'failed', message: expect.stringContaining('/dev/null') });
});
