import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
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
import { checkAccounts, createAccounts, startWriting } from '../../harness/write-load.ts';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** A standby that streams from its primary. */
async function withStandby(): Promise<ArchivedCluster & { readonly standby: Cluster }> {
  const made = await createArchivedCluster({ segmentMb: 1, initdbArguments: ['-k'] });
  const { cluster: primary, archive, environment } = made;
  clusters.push(primary);
  await primary.start();
  await createAccounts(primary);
  const first = await runProgram(['backup-push', '--fast-checkpoint', primary.dataDirectory], {
    environment,
  });
  expect(first.status, first.stderr).toBe(0);
  const [name = ''] = backupNames(archive);
  const data = await unpackBackup(archive, name);
  writeFileSync(join(data, 'standby.signal'), '');
  const standby = await openCluster(data, {
    settings: {
      primary_conninfo: `host=${primary.socketDirectory} port=${primary.port} user=${primary.user}`,
      restore_command: `/bin/false`,
      hot_standby: 'on',
      min_wal_size: '2MB',
      max_wal_size: '16MB',
    },
  });
  clusters.push(standby);
  await standby.start();
  return { ...made, standby };
}

describe('a backup of a standby', () => {
  it('is a backup of the cluster; the primary archives the WAL', async () => {
    const { cluster: primary, standby, archive, environment } = await withStandby();
    const load = startWriting(primary);
    await primary.query('checkpoint');
    const args = ['backup-push', '--fast-checkpoint', '-p', '2', standby.dataDirectory];
    const own = { ...environment, ...standby.environment };
    const pushed = await runProgram(args, { environment: own });
    await load.stop();
    expect(pushed.status, pushed.stderr).toBe(0);
    const name = backupNames(archive).at(-1) ?? '';
    expect((await readSentinel(archive, name)).own).toMatchObject({ fromStandby: true, damagedPageCount: 0 });

    // Without a checkpoint in between, a standby's next backup would be the very same.
    await primary.query('select pg_switch_wal()');
    const transfers = await checkAccounts(primary);
    const again = await runProgram(args, { environment: own });
    if (again.status !== 0) expect(again.stderr).toContain('the archive has this backup already');

    await Promise.all([standby.stop(), primary.stop()]);
    const data = await unpackBackup(archive, name);
    rmSync(join(data, 'standby.signal'), { force: true });
    const restored = await recover(data, archive, { min_wal_size: '2MB', max_wal_size: '16MB' });
    clusters.push(restored);
    expect(await checkAccounts(restored)).toBe(transfers);
  });

  it('fails when the standby is promoted in the middle', async () => {
    const { cluster: primary, standby, archive, environment } = await withStandby();
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
    await standby.query('select pg_promote()');
    const { status, stderr } = await running.finished;
    expect(status).toBe(1);
    expect(
      logEntries(stderr)
        .map(({ message, detail }) => `${message}: ${detail}`)
        .join('\n'),
    ).toMatch(/promoted/);
    expect(backupNames(archive)).toEqual(before);
  });

  it('is refused for a directory whose server is the other one of the two', async () => {
    const { cluster: primary, standby, environment } = await withStandby();
    const { status, stderr } = await runProgram(['backup-push', standby.dataDirectory], { environment });
    expect(status).toBe(1);
    expect(stderr).toContain('the data directory is not that of the server');
    expect(stderr).toContain(`The server's data directory is "${primary.dataDirectory}"`);
  });
});
