import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { restorability } from '../../src/archive/restorability.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { surveyBackups } from '../../src/archive/survey.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { surveyWal } from '../../src/verification/wal-survey.ts';
import { backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import {
  createArchive,
  fingerprint,
  load,
  recover,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { PROGRAM, runProgram } from '../harness/program.ts';
import { seededRandom } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { TESTED_VERSIONS } from '../harness/versions.ts';

const call = { signal: new AbortController().signal };
const KILLING = fileURLToPath(new URL('../harness/killing-fs.cjs', import.meta.url));

describe.each(TESTED_VERSIONS)('delete on the archive of a real server of version %i', (version) => {
  const archive = createArchive();
  const environment = { WALE_FILE_PREFIX: archive.prefix };
  const clusters: Cluster[] = [];
  const names: string[] = [];
  let final = '';

  const settings = () => ({
    wal_level: 'replica',
    archive_mode: 'on',
    archive_command: archive.command('--terse wal-push %p'),
    max_wal_senders: '2',
  });

  async function wale(args: readonly string[], cluster?: Cluster) {
    const result = await runProgram(args, {
      environment: { ...environment, ...cluster?.environment },
    });
    expect(result.status, result.stderr).toBe(0);
    return result.stdout;
  }

  /** Rows, in several segments of whatever size. */
  async function work(cluster: Cluster, seed: number): Promise<void> {
    for (let part = 0; part < 3; part += 1) {
      await load(cluster, 10 * seed + part, 1);
      await switchSegment(cluster);
    }
  }

  async function backup(cluster: Cluster): Promise<void> {
    await wale(['backup-push', '--fast-checkpoint', cluster.dataDirectory], cluster);
    const list = await wale(['backup-list']);
    const newest = list.trim().split('\r\n').at(-1)?.split('\t')[0] ?? '';
    expect(names).not.toContain(newest);
    names.push(newest);
  }

  async function restored(name: string): Promise<Cluster> {
    const target = join(createScratch(), 'data');
    await wale(['backup-fetch', target, name]);
    const cluster = await recover(
      target,
      version,
      archive.command('--terse wal-fetch %f %p'),
      { ...settings(), archive_mode: 'off', hot_standby: 'on' },
      'recovery',
    );
    clusters.push(cluster);
    await cluster.start();
    await poll(
      'the end of recovery',
      async () => (await cluster.value('select pg_is_in_recovery()')) === 'f',
    );
    return cluster;
  }

  /** Three backups: two on timeline 1, one on timeline 2, which begins at the end of the archive. */
  beforeAll(async () => {
    const first = await createCluster({
      version,
      segmentMb: version >= 11 ? 1 : undefined,
      settings: settings(),
    });
    clusters.push(first);
    await first.start();
    await work(first, 1);
    await backup(first);
    await work(first, 2);
    await backup(first);
    await work(first, 3);
    await untilArchived(first, await switchSegment(first));
    await first.stop('fast');
    const target = join(createScratch(), 'data');
    await wale(['backup-fetch', target, names[1] ?? '']);
    const second = await recover(
      target,
      version,
      archive.command('--terse wal-fetch %f %p'),
      { ...settings(), hot_standby: 'on' },
      'recovery',
    );
    clusters.push(second);
    await second.start();
    await poll('the end of recovery', async () => (await second.value('select pg_is_in_recovery()')) === 'f');
    await work(second, 4);
    await backup(second);
    await work(second, 5);
    await untilArchived(second, await switchSegment(second));
    final = await fingerprint(second);
    await second.stop('fast');
  }, 300_000);

  afterAll(async () => {
    for (const cluster of clusters) await cluster.dispose();
  });

  it('wal-verify finds it whole, down to every byte', async () => {
    const report = JSON.parse(await wale(['wal-verify', '--read', '--json']));
    expect(report.backups.map(({ state }: { state: string }) => state)).toEqual(['ok', 'ok', 'ok']);
    expect(report.timelines).toHaveLength(2);
  });

  it('deletes what is before the oldest kept backup, and each kept backup restores to the end', async () => {
    const before = await archive.names();
    const out = await wale(['delete', '--confirm', 'retain', '2']);
    expect(out).toContain(`delete  ${names[0]}`);
    const after = await archive.names();
    const oldest = names[1]?.slice(5, 29) ?? '';
    const kept = (name: string) => name.endsWith('.history') || name.startsWith('00000002') || name >= oldest;
    expect(after).toEqual(before.filter(kept));
    expect(before.length - after.length).toBeGreaterThan(2);
    for (const name of names.slice(1)) {
      const cluster = await restored(name);
      expect(await fingerprint(cluster)).toBe(final);
      await cluster.stop('fast');
    }
    await wale(['wal-verify', '--read']);
  });

  it('deletes nothing when run again', async () => {
    const before = await archive.names();
    const report = JSON.parse(await wale(['delete', '--json', '--confirm', 'retain', '2']));
    expect(report.result).toEqual({ deleted: 0, failed: 0, failures: [] });
    expect(await archive.names()).toEqual(before);
  });
});

describe('delete that is killed', () => {
  const SEED = Number(process.env.WALE_DELETE_SEED ?? 20_261_121);
  const BACKUPS = 8;
  const SEGMENTS = 2400;

  function fill(folder: string): void {
    const past = new Date(Date.now() - 30 * 86_400_000);
    const write = (key: string, text: string) => {
      mkdirSync(dirname(join(folder, key)), { recursive: true });
      writeFileSync(join(folder, key), text);
      utimesSync(join(folder, key), past, past);
    };
    for (let at = 0; at < BACKUPS; at += 1) {
      const backup = backupOf({
        start: 200 + at * 250,
        system: '7',
        parts: [0, 1, 2],
        at: past.getTime() - (BACKUPS - at) * 1000,
      });
      write(versionKey(backup.name), 'PostgreSQL 18');
      for (const number of [0, 1, 2]) write(partKey(backup.name, number), 'x'.repeat(100));
      if (backup.reading.kind === 'read')
        write(sentinelKey(backup.name), writeSentinel(backup.reading.sentinel));
    }
    for (let index = 1; index <= SEGMENTS; index += 1) write(walKey(segmentAt(1, index)), 'wal');
  }

  /** Names of the backups that are listed but cannot be restored. */
  async function broken(store: Store): Promise<string[]> {
    const { backups } = await surveyBackups(store, call);
    const { listed, tree } = await surveyWal(store, SEGMENT_BYTES, new Map(), call);
    const coverage = listed.sized(SEGMENT_BYTES);
    return backups
      .filter((backup) => backup.sentinel !== undefined && !restorability(backup, tree, coverage).ok)
      .map(({ name }) => name);
  }

  it('[del-11] never leaves a listed backup that cannot be restored, and the next run finishes', async () => {
    console.info(`seed ${SEED}`);
    const random = seededRandom(SEED);
    const folder = createScratch();
    fill(folder);
    const store = createFileStore(folder);
    const environment = { WALE_FILE_PREFIX: `file://localhost${folder}` };
    const args = ['--terse', 'delete', '--confirm', 'retain', '2'];
    for (let round = 0; round < 8; round += 1) {
      // From the first key, which is a sentinel, to the middle of the WAL.
      const last = round < 3 ? 1 + Math.floor(random() * 30) : 1 + Math.floor(random() * 300);
      const killing = {
        NODE_OPTIONS: `--require ${KILLING}`,
        KILL_CALL: 'unlinkSync',
        KILL_AT: String(last),
      };
      const killed = await runProgram(args, { environment: { ...environment, ...killing } });
      expect(killed.status, killed.stderr).toBe(null);
      expect(await broken(store)).toEqual([]);
    }
    const { status, stdout } = await runProgram(args, { environment });
    expect(status, stdout).toBe(0);
    expect(await broken(store)).toEqual([]);
    const { backups } = await surveyBackups(store, call);
    expect(backups).toHaveLength(2);
    expect(readdirSync(join(folder, 'wal_005'))).toHaveLength(SEGMENTS - (200 + (BACKUPS - 2) * 250) + 1);
    expect(readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile())).toEqual([]);
    await store.close();
  });

  it('shows how far it is in one line of a terminal, and nothing of it stays; in a pipe it shows none', async () => {
    const prepared = () => {
      const folder = createScratch();
      fill(folder);
      return ['--terse', '--file-prefix', `file://localhost${folder}`, 'delete', '--confirm', 'retain', '2'];
    };
    const words = [process.execPath, PROGRAM, ...prepared()].map((word) => `'${word}'`).join(' ');
    // The pseudo-terminal of script(1); the table goes to a file, so that only standard error is on it.
    const { stdout, status } = spawnSync('script', ['-qec', `${words} > /dev/null`, '/dev/null'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, WALE_LOG_DESTINATION: 'stderr' },
    });
    expect(status, stdout).toBe(0);
    const drawn = stdout.split('\r\u001b[K');
    expect(drawn.length).toBeGreaterThan(2);
    expect(drawn[1]).toMatch(/^\d+ of 1729 objects deleted \(\d+%\), \d+\/s, .* left$/);
    expect([drawn[0], drawn.at(-1)]).toEqual(['', '']);
    const piped = await runProgram(prepared());
    expect(piped).toMatchObject({ status: 0, stderr: '' });
  });

  it('may run twice at once', async () => {
    const folder = createScratch();
    fill(folder);
    const environment = { WALE_FILE_PREFIX: `file://localhost${folder}` };
    const args = ['--terse', 'delete', '--confirm', 'retain', '3'];
    const both = await Promise.all([runProgram(args, { environment }), runProgram(args, { environment })]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    const store = createFileStore(folder);
    expect(await broken(store)).toEqual([]);
    expect((await surveyBackups(store, call)).backups).toHaveLength(3);
    await store.close();
  });
});
