import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { poll } from '../../harness/poll.ts';
import { type Cluster, createCluster, openCluster } from '../../harness/postgres.ts';
import { createScratch } from '../../harness/scratch.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from '../../harness/staging.ts';

const clusters: Cluster[] = [];
const made = async (cluster: Promise<Cluster>) => {
  clusters.push(await cluster);
  return cluster;
};

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

describe('a throwaway server', () => {
  it.each([OLDEST_POSTGRES, NEWEST_POSTGRES])(
    'of version %i starts, answers and is gone after dispose',
    async (version) => {
      const cluster = await made(
        createCluster({ version, tablespaces: ['one'], settings: { work_mem: '1MB' } }),
      );
      await cluster.start();
      expect(await cluster.value('SHOW server_version')).toMatch(new RegExp(`^${version}\\.`));
      expect(await cluster.value('SHOW work_mem')).toBe('1MB');
      await cluster.configure({ work_mem: '2MB' });
      expect(await cluster.value('SHOW work_mem')).toBe('2MB');
      expect(existsSync(cluster.tablespaceDirectory('one'))).toBe(true);
      await cluster.dispose();
      expect(existsSync(cluster.folder)).toBe(false);
      expect(cluster.isRunning()).toBe(false);
    },
  );

  it('runs on a data directory that was copied', async () => {
    const first = await made(createCluster({ segmentMb: 1 }));
    const copy = `${createScratch()}/copy`;
    await promisify(execFile)('cp', ['-R', first.dataDirectory, copy]);
    const second = await made(openCluster(copy));
    await first.start();
    await second.start();
    expect(await second.value('SHOW wal_segment_size')).toBe('1MB');
    expect(await second.value('SHOW data_directory')).toBe(copy);
  });

  it('dies with the process that made it', async () => {
    const cluster = await made(createCluster());
    const script = fileURLToPath(new URL('../../harness/reaper.mjs', import.meta.url));
    const reaper = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'inherit'] });
    await cluster.start();
    reaper.stdin.end(
      `${JSON.stringify({ dataDirectory: cluster.dataDirectory })}\n${JSON.stringify({ folder: cluster.folder })}\n`,
    );
    await poll('the server to end', () => !cluster.isRunning());
    await poll('its folder to go', () => !existsSync(cluster.folder));
  });
});
