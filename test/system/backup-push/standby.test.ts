import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type ArchivedCluster,
  backupNames,
  createArchivedCluster,
  readSentinel,
  recover,
  unpackBackup,
} from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { type Cluster, openCluster } from '../../harness/postgres.ts';
import { logEntries, runProgram, startProgram } from '../../harness/program.ts';
import { NEWEST_POSTGRES } from '../../harness/staging.ts';
import { TESTED_VERSIONS } from '../../harness/versions.ts';
import { checkAccounts, createAccounts, startWriting } from '../../harness/write-load.ts';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** One is enough where not all are asked for: the oldest and the newest are stopped as primaries in offline.test.ts. */
const STOPPED_VERSIONS = TESTED_VERSIONS.length > 2 ? TESTED_VERSIONS : [NEWEST_POSTGRES];

/** Files are small where the version lets us choose. */
function sizes(version: number): { segmentMb?: number; settings: Record<string, string> } {
  return version >= 11
    ? { segmentMb: 1, settings: { min_wal_size: '2MB', max_wal_size: '16MB' } }
    : { settings: {} };
}

type Pair = ArchivedCluster & { readonly standby: Cluster };

/** A standby that streams from its primary; `kept` has what is to be disposed. */
async function withStandby(version: number = NEWEST_POSTGRES, kept = clusters): Promise<Pair> {
  const { segmentMb, settings } = sizes(version);
  const made = await createArchivedCluster({ version, segmentMb, initdbArguments: ['-k'] });
  const { cluster: primary, archive, environment } = made;
  kept.push(primary);
  await primary.start();
  await createAccounts(primary);
  const first = await runProgram(['backup-push', '--fast-checkpoint', primary.dataDirectory], {
    environment,
  });
  expect(first.status, first.stderr).toBe(0);
  const [name = ''] = backupNames(archive);
  const data = await unpackBackup(archive, name);
  const recovery = {
    primary_conninfo: `host=${primary.socketDirectory} port=${primary.port} user=${primary.user}`,
    restore_command: `/bin/false`,
    recovery_target_timeline: 'latest',
  };
  if (version >= 12) writeFileSync(join(data, 'standby.signal'), '');
  else writeFileSync(join(data, 'recovery.conf'), recoveryConf({ standby_mode: 'on', ...recovery }));
  const standby = await openCluster(data, {
    settings: { hot_standby: 'on', ...settings, ...(version >= 12 && recovery) },
  });
  kept.push(standby);
  await standby.start();
  return { ...made, standby };
}

function recoveryConf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');
}

async function promote(standby: Cluster): Promise<void> {
  await standby.query('select pg_promote()');
  await poll('the promotion', async () => (await standby.value('select pg_is_in_recovery()')) === 'f');
}

describe('a backup of a standby', () => {
  it.each(TESTED_VERSIONS)(
    'of version %i is a backup of the cluster; the primary archives the WAL',
    async (version) => {
      const { cluster: primary, standby, archive, environment } = await withStandby(version);
      const load = startWriting(primary);
      await primary.query('checkpoint');
      const args = ['backup-push', '--fast-checkpoint', '-p', '2', standby.dataDirectory];
      const own = { ...environment, ...standby.environment };
      const running = startProgram(args, { environment: own });
      await poll(
        'the backup to wait for WAL',
        () => running.child.exitCode !== null || running.stderr().includes('waiting for WAL'),
      );
      await primary.query('select pg_switch_wal()');
      const pushed = await running.finished;
      await load.stop();
      expect(pushed.status, pushed.stderr).toBe(0);
      const name = backupNames(archive).at(-1) ?? '';
      expect((await readSentinel(archive, name)).own).toMatchObject({
        fromStandby: true,
        damagedPageCount: 0,
      });

      // Without a checkpoint in between, a standby's next backup would be the very same.
      await primary.query('select pg_switch_wal()');
      const transfers = await checkAccounts(primary);
      const again = await runProgram(args, { environment: own });
      if (again.status !== 0) expect(again.stderr).toContain('the archive has this backup already');

      await Promise.all([standby.stop(), primary.stop()]);
      const restored = await recover(await unpackBackup(archive, name), archive, sizes(version).settings);
      clusters.push(restored);
      expect(await checkAccounts(restored)).toBe(transfers);
    },
  );

  it.each(STOPPED_VERSIONS)(
    'of version %i that is stopped needs no server, and says what WAL it needs',
    async (version) => {
      const { cluster: primary, standby, archive, environment } = await withStandby(version);
      const load = startWriting(primary);
      await poll('something to be written', () => load.transfers() > 100);
      await primary.query('checkpoint');
      await load.stop();
      const lsn = await primary.value('select pg_current_wal_lsn()');
      await poll(
        'the standby to replay it',
        async () => (await standby.value(`select pg_last_wal_replay_lsn() >= '${lsn}'`)) === 't',
      );
      await standby.stop();
      const { WALE_FILE_PREFIX = '' } = environment;
      const { status, stderr } = await runProgram(['backup-push', '--while-offline', standby.dataDirectory], {
        environment: { WALE_FILE_PREFIX },
      });
      expect(status, stderr).toBe(0);
      const name = backupNames(archive).at(-1) ?? '';
      expect((await readSentinel(archive, name)).own).toMatchObject({ fromStandby: true, offline: true });
      expect(stderr).toContain(
        `It needs segment${stderr.includes('segments ') ? 's' : ''} ${name.slice(5, 29)}`,
      );

      await primary.query('select pg_switch_wal()');
      const transfers = await checkAccounts(primary);
      await primary.stop();
      const restored = await recover(await unpackBackup(archive, name), archive, sizes(version).settings);
      clusters.push(restored);
      expect(await checkAccounts(restored)).toBe(transfers);
    },
  );

  it('fails when the standby follows its primary to another timeline in the middle, and removes nothing: others make backups of that name', async () => {
    const { cluster: primary, standby, archive, environment } = await withStandby();
    await primary.query('insert into transfer (amount) values (1); checkpoint');
    const slow = ['--fast-checkpoint', '--cluster-read-rate-limit', '8000000'];
    const before = backupNames(archive);
    const running = startProgram(['backup-push', ...slow, standby.dataDirectory], {
      environment: { ...environment, ...standby.environment },
    });
    await poll('the backup to start', () => running.stderr().includes('the backup has started'));
    running.child.kill('SIGSTOP');
    await primary.stop();
    writeFileSync(join(primary.dataDirectory, 'standby.signal'), '');
    await primary.start();
    await promote(primary);
    await primary.query('create table of_timeline_two (id int); checkpoint');
    await poll(
      'the standby to follow',
      async () => (await standby.value("select to_regclass('of_timeline_two') is not null")) === 't',
    );
    await standby.query('checkpoint');
    expect(running.child.exitCode, 'the backup was over before').toBeNull();
    running.child.kill('SIGCONT');
    const { status, stderr } = await running.finished;
    expect(status).toBe(1);
    expect(logEntries(stderr)).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'the server changed its timeline during the backup',
        detail: 'The backup started on timeline 1; now it is 2.',
      }),
    );
    expect(backupNames(archive)).toEqual(before);
    const begun = readdirSync(join(archive, 'basebackups_005')).filter((name) => !name.endsWith('.json'));
    expect(begun).toHaveLength(before.length + 1);
  });

  describe('that is asked for more than once', () => {
    const kept: Cluster[] = [];
    let pair: Pair;

    beforeAll(async () => {
      pair = await withStandby(NEWEST_POSTGRES, kept);
    });
    afterAll(async () => {
      for (const cluster of kept) await cluster.dispose();
    });

    it('is refused for a directory whose server is the other one of the two', async () => {
      const { cluster: primary, standby, environment } = pair;
      const { status, stderr } = await runProgram(['backup-push', standby.dataDirectory], { environment });
      expect(status).toBe(1);
      expect(stderr).toContain('the data directory is not that of the server');
      expect(stderr).toContain(`The server's data directory is "${primary.dataDirectory}"`);
    });

    it('whose primary has nothing more to archive gives up at its deadline, and says what the primary could do', async () => {
      const { cluster: primary, standby, archive, environment } = pair;
      await primary.query('insert into transfer (amount) values (1); checkpoint');
      const lsn = await primary.value('select pg_current_wal_lsn()');
      await poll(
        'the standby to replay it',
        async () => (await standby.value(`select pg_last_wal_replay_lsn() >= '${lsn}'`)) === 't',
      );
      const before = backupNames(archive);
      const { status, stderr } = await runProgram(
        ['backup-push', '--fast-checkpoint', '--wal-timeout', '2', standby.dataDirectory],
        { environment: { ...environment, ...standby.environment } },
      );
      expect(status).toBe(1);
      expect(logEntries(stderr)).toContainEqual(
        expect.objectContaining({
          level: 'ERROR',
          message: 'the WAL that the backup needs did not reach the archive',
          detail: expect.stringContaining('SELECT pg_switch_wal() there'),
        }),
      );
      expect(backupNames(archive)).toEqual(before);
    });

    it('fails when the standby is promoted in the middle', async () => {
      const { cluster: primary, standby, archive, environment } = pair;
      await primary.query('insert into transfer (amount) values (1); checkpoint');
      const slow = [
        'backup-push',
        '--fast-checkpoint',
        '--cluster-read-rate-limit',
        '8000000',
        standby.dataDirectory,
      ];
      const before = backupNames(archive);
      const running = startProgram(slow, { environment: { ...environment, ...standby.environment } });
      await poll('the backup to start', () => running.stderr().includes('the backup has started'));
      running.child.kill('SIGSTOP');
      await standby.query('select pg_promote()');
      running.child.kill('SIGCONT');
      const { status, stderr } = await running.finished;
      expect(status).toBe(1);
      expect(
        logEntries(stderr)
          .map(({ message, detail }) => `${message}: ${detail}`)
          .join('\n'),
      ).toMatch(/promoted/);
      expect(backupNames(archive)).toEqual(before);
    });
  });
});
