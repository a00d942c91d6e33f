import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArchivedCluster, backupNames, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { type Cluster, createCluster } from '../../harness/postgres.ts';
import { logEntries, runProgram, startProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';

let made: ArchivedCluster;
let other: Cluster;

beforeAll(async () => {
  made = await createArchivedCluster();
  other = await createCluster();
  await Promise.all([made.cluster.start(), other.start()]);
});

afterAll(async () => {
  await Promise.all([made.cluster.dispose(), other.dispose()]);
});

/** The last record, which says why. */
async function refused(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const run = await runProgram(['backup-push', ...args], {
    environment: { ...made.environment, ...environment },
  });
  return { status: run.status, ...logEntries(run.stderr).at(-1) };
}

describe('before anything is uploaded', () => {
  it('a directory is refused that is not that of the server', async () => {
    expect(await refused([other.dataDirectory])).toMatchObject({
      status: 1,
      message: 'the data directory is not that of the server',
      detail: expect.stringContaining('system identifier'),
      hint: expect.stringContaining(`PGHOST=${other.socketDirectory} PGPORT=5432`),
    });
    expect(readdirSync(made.archive)).not.toContain('basebackups_005');
  });

  it('a copy of the server’s directory is refused', async () => {
    const copy = join(createScratch(), 'copy');
    execFileSync('cp', ['-R', made.cluster.dataDirectory, copy]);
    expect(await refused([copy])).toMatchObject({
      status: 1,
      message: 'the data directory is not that of the server',
      detail: expect.stringContaining(`The server's data directory is "${made.cluster.dataDirectory}"`),
    });
  });

  it.each([
    ['what is no data directory', () => createScratch(), 'could not read the control file of the cluster'],
    [
      'a damaged control file',
      () => {
        const folder = createScratch();
        const global = join(folder, 'global');
        writeFileSync(join(folder, 'PG_VERSION'), '18');
        mkdirSync(global);
        writeFileSync(join(global, 'pg_control'), Buffer.alloc(8192, 1));
        return folder;
      },
      'the control file of the cluster is damaged',
    ],
  ])('%s is refused', async (_, folder, message) => {
    expect(await refused([folder()])).toMatchObject({ status: 1, message });
  });

  it.each([
    [{ PGPORT: '5999' }, 'could not connect to PostgreSQL', /Check PGHOST/],
    [{ PGUSER: 'nobody_at_all' }, 'could not connect to PostgreSQL', /Run this as the user .* or set PGUSER/],
    [{ PGHOST: '127.0.0.1', PGPORT: '1' }, 'could not connect to PostgreSQL', /Check PGHOST/],
  ])(
    'a server that cannot be reached is named: %o',
    async (environment: Record<string, string>, message, hint) => {
      expect(await refused([made.cluster.dataDirectory], environment)).toMatchObject({
        status: 1,
        message,
        detail: expect.stringContaining(`port ${environment.PGPORT ?? 5432}`),
        hint: expect.stringMatching(hint),
      });
    },
  );

  it('a server that does not archive is refused, unless the archive is filled otherwise', async () => {
    const environment = { ...other.environment, WALE_FILE_PREFIX: `file://localhost${createScratch()}` };
    expect(await refused([other.dataDirectory], environment)).toMatchObject({
      status: 1,
      message: expect.stringContaining('does not archive its WAL'),
      hint: expect.stringContaining('--no-wal-check'),
    });
    const pushed = await runProgram(
      ['backup-push', '--no-wal-check', '--fast-checkpoint', other.dataDirectory],
      {
        environment,
      },
    );
    expect(pushed.status, pushed.stderr).toBe(0);
  });

  it('an impossible pool size or rate limit is a usage error', async () => {
    for (const args of [
      ['-p', '0'],
      ['-p', '65'],
      ['--cluster-read-rate-limit', '0'],
      ['--wal-timeout', '0'],
    ]) {
      const { status } = await runProgram(['backup-push', ...args, made.cluster.dataDirectory], {
        environment: made.environment,
      });
      expect(status).toBe(2);
    }
  });
});

describe('a second backup of the same cluster', () => {
  it('[bpush-15] is refused while the first runs, and the first goes on', async () => {
    const { cluster, archive, environment } = made;
    const slow = [
      'backup-push',
      '--fast-checkpoint',
      '--cluster-read-rate-limit',
      '8000000',
      cluster.dataDirectory,
    ];
    const first = startProgram(slow, { environment });
    await poll('the first backup to start', () => first.stderr().includes('the backup has started'));
    first.child.kill('SIGSTOP');
    expect(await refused([cluster.dataDirectory])).toMatchObject({
      status: 1,
      message: 'another backup-push of this cluster is running',
    });
    first.child.kill('SIGCONT');
    const { status, stderr } = await first.finished;
    expect(status, stderr).toBe(0);
    expect(backupNames(archive)).toHaveLength(1);
  });

  it.each(['postgres', 'template1'])(
    'is refused by the server too, where it does not see the first one’s machine, and whatever database that is in: %s',
    async (database) => {
      const { cluster } = made;
      const holder = new pg.Client({ host: cluster.socketDirectory, user: cluster.user, database });
      await holder.connect();
      await holder.query('select pg_advisory_lock(2002873701, 1650549611)');
      expect(await refused([cluster.dataDirectory])).toMatchObject({
        status: 1,
        message: 'another backup-push of this cluster is running',
        detail: 'It holds the lock for it on the server.',
      });
      await holder.end();
    },
  );
});
