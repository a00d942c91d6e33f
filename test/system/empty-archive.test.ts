/** Real servers whose archive holds nothing yet, or has no room: nobody takes that for the end of the WAL, or for done. */
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import {
  copyAsStandby,
  createArchive,
  createPrimary,
  fingerprint,
  LOG_TO_SERVER,
  load,
  recover,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from '../harness/staging.ts';

const MB = 1024 * 1024;
const NO_ARCHIVE = 'the directory of the storage prefix holds no archive';

const clusters: Cluster[] = [];
const kept = async (cluster: Promise<Cluster>) => {
  clusters.push(await cluster);
  return cluster;
};

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

const start = (cluster: Cluster, wait = true) => cluster.start({ wait, environment: LOG_TO_SERVER });
const times = async (cluster: Cluster, text: string) => (await cluster.serverLog()).split(text).length - 1;

describe.each([OLDEST_POSTGRES, NEWEST_POSTGRES])(
  'PostgreSQL %i, before anything was archived',
  (version) => {
    it('waits as a standby, and follows once the primary archives; in archive recovery it stops', async () => {
      const archive = createArchive();
      const segments = version > 10 ? { segmentMb: 1 } : {};
      const primary = await kept(createPrimary({ version, archive, ...segments }));
      const copy = join(createScratch(primary.account), 'data');
      cpSync(primary.dataDirectory, copy, { recursive: true });
      const command = archive.command('wal-fetch %f %p');

      const recovered = await kept(recover(copy, version, command, {}, 'recovery'));
      await start(recovered, false);
      await poll('the server to stop', () => !recovered.isRunning());
      expect(await recovered.serverLog()).toContain(NO_ARCHIVE);
      expect(await recovered.serverLog()).not.toContain('archive recovery complete');

      // A standby needs as many connections as were allowed on the primary, which initdb started last.
      const settings = { wal_retrieve_retry_interval: '200ms', max_connections: '100' };
      const standby = await kept(copyAsStandby(primary, command, settings));
      await start(standby, false);
      await poll('the standby to ask again', async () => (await times(standby, NO_ARCHIVE)) > 3);
      expect(standby.isRunning()).toBe(true);
      await start(primary);
      await load(primary, 1, 1);
      await untilArchived(primary, await switchSegment(primary));
      const expected = await fingerprint(primary);
      await poll(
        'the standby to follow',
        async () => (await fingerprint(standby).catch(() => '')) === expected,
      );
    });
  },
);

describe.runIf(canMount())('a server whose archive has no room', () => {
  it('keeps its segments, and archives all of them whole when there is room', async () => {
    const archive = createArchive();
    mountSmall(archive.directory, MB);
    chownSync(archive.directory, serverAccount().uid, serverAccount().gid);
    const settings = { wal_keep_size: '200MB' };
    const primary = await kept(createPrimary({ version: NEWEST_POSTGRES, archive, segmentMb: 1, settings }));
    await start(primary);
    await load(primary, 1, 6);
    await switchSegment(primary);
    await poll('the failure', async () => (await times(primary, 'Free some space')) > 0);
    const status = join(primary.walDirectory, 'archive_status');
    const named = (end: string) =>
      readdirSync(status)
        .filter((entry) => entry.endsWith(end))
        .map((entry) => entry.slice(0, -end.length));
    const already = named('.done');
    expect(await archive.names()).toEqual(expect.arrayContaining(already));
    expect(named('.ready').length).toBeGreaterThan(0);

    execFileSync('mount', ['-o', `remount,size=${64 * MB}`, archive.directory]);
    // A new segment wakes an archiver that has given up for a minute.
    await untilArchived(primary, await switchSegment(primary));
    await poll('everything to be archived', () => named('.ready').length === 0);
    await primary.stop();
    const done = named('.done');
    expect(done.length).toBeGreaterThan(6);
    for (const name of done) {
      const path = join(primary.walDirectory, name);
      if (existsSync(path)) expect((await archive.content(name)).equals(readFileSync(path))).toBe(true);
    }
  });
});
