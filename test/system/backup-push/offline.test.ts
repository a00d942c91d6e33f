import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ArchivedCluster,
  backupNames,
  createArchivedCluster,
  memberNames,
  readSentinel,
  recover,
  unpackBackup,
} from '../../harness/archived-cluster.ts';
import type { Cluster } from '../../harness/postgres.ts';
import { logEntries, runProgram } from '../../harness/program.ts';
import { TESTED_VERSIONS } from '../../harness/versions.ts';

/** The largest writes a gigabyte of WAL. */
const SEGMENTS = TESTED_VERSIONS.length > 2 ? [1, 64, 1024] : [64];

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function started(options: Parameters<typeof createArchivedCluster>[0] = {}): Promise<ArchivedCluster> {
  const made = await createArchivedCluster(options);
  clusters.push(made.cluster);
  await made.cluster.start();
  return made;
}

async function push({ cluster, environment }: ArchivedCluster) {
  const { WALE_FILE_PREFIX = '' } = environment;
  const run = await runProgram(['backup-push', '--while-offline', cluster.dataDirectory], {
    environment: { WALE_FILE_PREFIX },
  });
  return { ...run, entries: logEntries(run.stderr) };
}

describe('a backup of a stopped server', () => {
  it.each(TESTED_VERSIONS)(
    'of version %i needs no server and is named by its redo location',
    async (version) => {
      const made = await started({ version, ...(version >= 11 && { segmentMb: 4 }) });
      const { cluster, archive } = made;
      await cluster.query('create table t as select g from generate_series(1, 1000) g');
      await cluster.stop();
      const { status, stderr, entries } = await push(made);
      expect(status, stderr).toBe(0);
      const [name = ''] = backupNames(archive);
      const { own } = await readSentinel(archive, name);
      expect(own).toMatchObject({ offline: true, fromStandby: false, timeline: 1 });
      expect(await memberNames(archive, name)).not.toContain('backup_label');
      // The WAL that it needs is said, and so is that it is not archived yet.
      const needed = name.slice(5, 29);
      expect(entries).toContainEqual(
        expect.objectContaining({
          level: 'WARNING',
          message: 'the backup needs WAL that is not in the archive yet',
          detail: `It needs segment ${needed}; not there: ${needed}.`,
        }),
      );

      await cluster.start();
      expect(
        await cluster.value(`select '${own?.startLsn}'::pg_lsn - redo_lsn <= 0 from pg_control_checkpoint()`),
      ).toBe('t');
      const [place] = await cluster.query(
        `select file_name, file_offset::text from pg_walfile_name_offset('${own?.startLsn}')`,
      );
      expect(name).toBe(`base_${place?.file_name}_${place?.file_offset?.padStart(8, '0')}`);
      await cluster.query('insert into t values (0); select pg_switch_wal()');
      await cluster.stop();
      const restored = await recover(await unpackBackup(archive, name), archive, {
        min_wal_size: '32MB',
        max_wal_size: '64MB',
      });
      clusters.push(restored);
      expect(await restored.value('select count(*) from t')).toBe('1001');
    },
  );

  it.each(SEGMENTS)(
    'with segments of %i MB has the offset that the original’s SQL gives it',
    async (segmentMb) => {
      const settings = {
        min_wal_size: `${2 * segmentMb}MB`,
        max_wal_size: `${4 * segmentMb}MB`,
        // A server that archives begins a new segment when it is shut down: the offset would always be 40.
        archive_mode: 'off',
      };
      const made = await started({ segmentMb, settings });
      const { cluster, archive } = made;
      // Deep enough into the segment for an offset of nine digits, where there is room for it.
      if (segmentMb > 128)
        await cluster.query("select pg_logical_emit_message(false, 'x', repeat('x', 110000000))");
      await cluster.stop();
      const { status, stderr } = await push(made);
      expect(status, stderr).toBe(0);
      const [name = ''] = backupNames(archive);
      const { own } = await readSentinel(archive, name);
      expect(own?.segmentBytes).toBe(segmentMb * 1024 * 1024);
      await cluster.start();
      const [place] = await cluster.query(
        `select file_name, file_offset::text, lpad(file_offset::text, 8, '0') as padded
          from pg_walfile_name_offset('${own?.startLsn}')`,
      );
      expect(name).toBe(`base_${place?.file_name}_${place?.padded}`);
      if (segmentMb > 128) expect(place?.file_offset).toHaveLength(9);
    },
  );

  it('is refused while the server runs, or looks to', async () => {
    const made = await started({ segmentMb: 1 });
    const refusal = { message: 'while_offline set, but pg looks to be running' };
    const running = await push(made);
    expect({ status: running.status, ...running.entries.at(-1) }).toMatchObject({ status: 1, ...refusal });
    await made.cluster.stop();
    writeFileSync(join(made.cluster.dataDirectory, 'postmaster.pid'), '1234567\n');
    expect((await push(made)).entries.at(-1)).toMatchObject(refusal);
    expect(backupNames(made.archive)).toEqual([]);
  });

  it('is refused after a crash', async () => {
    const made = await started({ segmentMb: 1 });
    await made.cluster.stop('kill');
    rmSync(join(made.cluster.dataDirectory, 'postmaster.pid'), { force: true });
    const { status, entries } = await push(made);
    expect({ status, ...entries.at(-1) }).toMatchObject({
      status: 1,
      message: 'the cluster was not shut down cleanly',
      detail: 'Its control file says "in production".',
    });
  });

  it('is refused when it is there already, and replaces one that was not finished', async () => {
    const made = await started({ segmentMb: 1 });
    await made.cluster.stop();
    expect((await push(made)).status).toBe(0);
    const again = await push(made);
    expect({ status: again.status, ...again.entries.at(-1) }).toMatchObject({
      status: 1,
      message: 'the archive has this backup already',
    });
    const [name = ''] = backupNames(made.archive);
    rmSync(join(made.archive, 'basebackups_005', `${name}_backup_stop_sentinel.json`));
    const third = await push(made);
    expect(third.status, third.stderr).toBe(0);
    expect(third.stderr).toContain('removing what an unfinished backup of the same name left');
  });
});
