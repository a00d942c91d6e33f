/** PostgreSQL archives through wal-push; a standby that has nothing but wal-fetch follows, and is promoted. */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Archive,
  copyAsStandby,
  createArchive,
  createPrimary,
  fingerprint,
  LOG_TO_SERVER,
  load,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from '../harness/staging.ts';

const clusters: Cluster[] = [];
const kept = async (cluster: Promise<Cluster>) => {
  clusters.push(await cluster);
  return cluster;
};

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

const start = (cluster: Cluster) => cluster.start({ environment: LOG_TO_SERVER });

/** `position` in bytes. */
async function untilReplayed(standby: Cluster, position: number): Promise<void> {
  const replayed = `SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')`;
  await poll(
    `the standby to replay ${position}`,
    async () => Number(await standby.value(replayed)) >= position,
  );
}

async function promote(standby: Cluster): Promise<void> {
  await standby.query(
    standby.version >= 12
      ? 'SELECT pg_promote()'
      : `COPY (SELECT 1) TO '${join(standby.dataDirectory, 'promote')}'`,
  );
  if (standby.version < 12) process.kill(standby.pid(), 'SIGUSR1');
  await poll('the promotion', async () => (await standby.value('SELECT pg_is_in_recovery()')) === 'f');
}

/** Primary and standby of one archive, both running. */
async function pair(version: number, segmentMb: number | undefined, archive: Archive) {
  const primary = await kept(createPrimary({ version, archive, ...(segmentMb ? { segmentMb } : {}) }));
  await start(primary);
  await load(primary, 1, 1);
  await primary.stop();
  const settings = {
    archive_mode: 'on',
    archive_command: archive.command('wal-push %p'),
    wal_level: 'replica',
    wal_retrieve_retry_interval: '200ms',
  };
  const standby = await kept(copyAsStandby(primary, archive.command('wal-fetch %f %p'), settings));
  await start(primary);
  await start(standby);
  return { primary, standby };
}

describe.each([
  { version: OLDEST_POSTGRES, segmentMb: undefined, size: 16 },
  { version: NEWEST_POSTGRES, segmentMb: undefined, size: 16 },
  { version: NEWEST_POSTGRES, segmentMb: 1, size: 1 },
])('PostgreSQL $version with segments of $size MB', ({ version, segmentMb, size }) => {
  it('archives under load, is followed, and is succeeded by its standby', async () => {
    const archive = createArchive();
    const { primary, standby } = await pair(version, segmentMb, archive);

    for (let round = 2; round <= 4; round += 1) {
      await load(primary, round, size);
      await switchSegment(primary);
    }
    const last = await switchSegment(primary);
    await untilArchived(primary, last);
    // The last record that is archived ends before the segment that is written now.
    const bytes = size * 1024 * 1024;
    const written = `pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')`;
    const expected = await fingerprint(primary);
    const boundary = Number(await primary.value(`SELECT trunc(${written} / ${bytes}) * ${bytes}`));
    await untilReplayed(standby, boundary);
    expect(await fingerprint(standby)).toBe(expected);

    await primary.stop();
    await promote(standby);
    const next = await switchSegment(standby);
    expect(next.slice(0, 8)).toBe('00000002');
    await untilArchived(standby, next);
    expect(await archive.names()).toContain('00000002.history');
    expect(await fingerprint(standby)).toBe(expected);
    for (const name of await archive.names()) {
      const content = await archive.content(name);
      if (/^[0-9A-F]{24}(\.partial)?$/.test(name)) expect(content.length).toBe(size * 1024 * 1024);
    }
  });
});
