/** What a failure of wal-fetch does to a real server: it never ends a recovery early. */
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Archive,
  createArchive,
  createPrimary,
  fingerprint,
  LOG_TO_SERVER,
  load,
  recover,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from '../harness/staging.ts';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

interface Scene {
  readonly archive: Archive;
  /** A copy of the data directory from before the load. */
  readonly copy: string;
  /** A segment that recovery needs, with more of them behind it. */
  readonly victim: string;
  readonly expected: string;
}

async function scene(version: number): Promise<Scene> {
  const archive = createArchive();
  const sizes = version > 10 ? { segmentMb: 1 } : {};
  const primary = await createPrimary({ version, archive, sameSystem: true, ...sizes });
  clusters.push(primary);
  await primary.start({ environment: LOG_TO_SERVER });
  await load(primary, 1, 1);
  await primary.stop();
  const copy = join(createScratch(primary.account), 'data');
  cpSync(primary.dataDirectory, copy, { recursive: true });
  await primary.start({ environment: LOG_TO_SERVER });
  const names = [];
  for (let round = 2; round < 5; round += 1) {
    await load(primary, round, 1);
    names.push(await switchSegment(primary));
  }
  const [, victim = '', last = ''] = names;
  await untilArchived(primary, last);
  const expected = await fingerprint(primary);
  await primary.stop();
  return { archive, copy, victim, expected };
}

/** `command`: what restore_command makes of the program's command line and of the data directory. */
async function recovering(
  version: number,
  { archive, copy }: Scene,
  mode: 'standby' | 'recovery',
  command = (line: string, _directory: string) => line,
  more: Readonly<Record<string, string>> = {},
) {
  const settings = { hot_standby: 'on', wal_retrieve_retry_interval: '200ms', ...more };
  const line = command(archive.command('wal-fetch %f %p'), copy);
  const cluster = await recover(copy, version, line, settings, mode);
  clusters.push(cluster);
  return cluster;
}

const objectOf = ({ archive, victim }: Scene) => join(archive.directory, 'wal_005', `${victim}.lzo`);
const start = (cluster: Cluster, wait: boolean) => cluster.start({ wait, environment: LOG_TO_SERVER });
const promoted = async (cluster: Cluster) => (await cluster.value('SELECT pg_is_in_recovery()')) === 'f';

describe.each([OLDEST_POSTGRES, NEWEST_POSTGRES])(
  'PostgreSQL %i, with a damaged segment in the archive',
  (version) => {
    it('stops in archive recovery, and recovers everything once the object is repaired', async () => {
      const made = await scene(version);
      const whole = readFileSync(objectOf(made));
      writeFileSync(objectOf(made), whole.subarray(0, whole.length / 2));
      const cluster = await recovering(version, made, 'recovery');
      await start(cluster, false);
      await poll('the server to stop', () => !cluster.isRunning());
      const log = await cluster.serverLog();
      expect(log).toContain('FATAL:  could not restore file');
      expect(log).not.toContain('archive recovery complete');

      writeFileSync(objectOf(made), whole);
      await start(cluster, true);
      await poll('the end of recovery', () => promoted(cluster));
      expect(await fingerprint(cluster)).toBe(made.expected);
    });

    it('goes on as a standby, and follows again once the object is repaired', async () => {
      const made = await scene(version);
      const whole = readFileSync(objectOf(made));
      appendFileSync(objectOf(made), 'x');
      const cluster = await recovering(version, made, 'standby');
      await start(cluster, true);
      const asked = () =>
        cluster.serverLog().then((log) => log.split('more bytes after the end marker').length > 3);
      await poll('PostgreSQL to ask for it several times', asked);
      expect(cluster.isRunning()).toBe(true);
      expect(await fingerprint(cluster)).not.toBe(made.expected);

      writeFileSync(objectOf(made), whole);
      await poll('the standby to follow', async () => (await fingerprint(cluster)) === made.expected);
      expect(await promoted(cluster)).toBe(false);
    });
  },
);

describe(`PostgreSQL ${NEWEST_POSTGRES}, whose restore_command leaves the data directory`, () => {
  const inScript = (line: string) => `cd / && ${line}; status=$?; exit $status`;
  const absolute = (line: string, directory: string) => inScript(line.replace('%p', `${directory}/%p`));

  it.each([
    ['with the destination made absolute', absolute, 'end marker'],
    ['and so never finds the folder of the destination', inScript, 'folder of the destination is not there'],
  ])('%s: it stops in archive recovery', async (_, command, said) => {
    const made = await scene(NEWEST_POSTGRES);
    appendFileSync(objectOf(made), 'x');
    const cluster = await recovering(NEWEST_POSTGRES, made, 'recovery', command);
    await start(cluster, false);
    await poll('the server to stop', () => !cluster.isRunning());
    const log = await cluster.serverLog();
    expect(log).toContain(said);
    expect(log).toContain('FATAL:  could not restore file');
    expect(log).not.toContain('archive recovery complete');
  });

  it('with the destination made absolute: it goes on as a standby', async () => {
    const made = await scene(NEWEST_POSTGRES);
    const whole = readFileSync(objectOf(made));
    appendFileSync(objectOf(made), 'x');
    const cluster = await recovering(NEWEST_POSTGRES, made, 'standby', absolute);
    await start(cluster, true);
    const asked = () => cluster.serverLog().then((log) => log.split('after the end marker').length > 3);
    await poll('PostgreSQL to ask for it several times', asked);
    expect(cluster.isRunning()).toBe(true);
    writeFileSync(objectOf(made), whole);
    await poll('the standby to follow', async () => (await fingerprint(cluster)) === made.expected);
  });
});

describe.each([OLDEST_POSTGRES, NEWEST_POSTGRES])('PostgreSQL %i, which begins a new timeline', (version) => {
  /** What PostgreSQL recovers by is gone when it asks for the history of the timeline that it leaves. */
  const SIGNALS = '-e recovery.signal -o -e recovery.conf';

  it('is not stopped by an archive that cannot be read then, and knows all timelines before', async () => {
    const made = await scene(version);
    const again = join(createScratch(), 'again');
    cpSync(made.copy, again, { recursive: true });
    const archiving = { archive_mode: 'on', archive_command: made.archive.command('wal-push %p') };
    const second = await recovering(version, made, 'recovery', (line) => line, archiving);
    await start(second, true);
    await poll('the end of recovery', () => promoted(second));
    await untilArchived(second, await switchSegment(second));
    await second.stop();

    const broken = (line: string) =>
      `if test ${SIGNALS}; then ${line}; else ${line.replace(made.archive.prefix, 'file://localhost/proc/none')}; fi`;
    const third = await recovering(version, { ...made, copy: again }, 'recovery', broken);
    await start(third, true);
    await poll('the end of recovery', () => promoted(third));
    expect(await third.serverLog()).toContain('/proc/none');
    expect(await fingerprint(third)).toBe(made.expected);
    const history = readFileSync(join(third.walDirectory, '00000003.history'), 'utf8');
    expect(history).toMatch(/^1\t.*\n+2\t/);
  });
});
