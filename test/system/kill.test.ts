/**
 * kill -9 at random moments: what PostgreSQL saw archived is whole in the archive, and no part of a file is ever taken
 * for a WAL file. The moments come from a seed, which is printed; WALE_TEST_SEED and WALE_TEST_ROUNDS change the run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { followingSegments } from '../../src/postgres/segment.ts';
import {
  type Archive,
  createArchive,
  createPrimary,
  LOG_TO_SERVER,
  load,
  switchSegment,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { PROGRAM } from '../harness/program.ts';
import { seededRandom } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';

const MB = 1024 * 1024;
const SEED = Number(process.env.WALE_TEST_SEED ?? 20_261_121);
const ROUNDS = Number(process.env.WALE_TEST_ROUNDS ?? 40);
/** About how long one call takes here; kills fall before, into and after it. */
const CALL_MS = 250;
/** Longer than any call takes. */
const LONG_MS = 240_000;

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** Starts the program; resolves to whether it succeeded before it was killed. */
async function runAndKill(args: readonly string[], cwd: string, killAfterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, [PROGRAM, '--terse', ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...LOG_TO_SERVER },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const status = await ended(child);
  clearTimeout(timer);
  if (status !== 0 && status !== null) throw new Error(`exited with ${status}: ${stderr}`);
  return status === 0;
}

async function ended(child: ChildProcess): Promise<number | null> {
  const [status]: unknown[] = await once(child, 'close');
  return typeof status === 'number' ? status : null;
}

describe(`wal-push, killed at random (seed ${SEED})`, () => {
  it('has archived what it said was archived, and what it told PostgreSQL about neighbours', async () => {
    console.log(`seed ${SEED}, ${ROUNDS} rounds`);
    const random = seededRandom(SEED);
    const archive = createArchive();
    const folder = createScratch();
    const pgWal = join(folder, 'pg_wal');
    const status = join(pgWal, 'archive_status');
    mkdirSync(status, { recursive: true });
    const names = ['000000010000000000000001', ...followingSegments('000000010000000000000001', ROUNDS, MB)];
    for (const [index, name] of names.entries()) {
      writeFileSync(join(pgWal, name), segmentBytes(name, MB, SEED + index));
      writeFileSync(join(status, `${name}.ready`), '');
    }
    const ready = () => names.filter((name) => existsSync(join(status, `${name}.ready`)));
    let kills = 0;
    for (let round = 0; round < ROUNDS && ready().length > 0; round += 1) {
      const [name = ''] = ready();
      const mark = random() < 0.5 ? '--mark-done' : '--no-mark-done';
      const args = [`--file-prefix=${archive.prefix}`, 'wal-push', mark, '-p4', `pg_wal/${name}`];
      if (await runAndKill(args, folder, random() * CALL_MS)) {
        renameSync(join(status, `${name}.ready`), join(status, `${name}.done`));
      } else kills += 1;
      const done = names.filter((other) => existsSync(join(status, `${other}.done`)));
      expect(await archive.names()).toEqual(expect.arrayContaining(done));
    }
    expect(kills).toBeGreaterThan(0);
    for (const name of await archive.names()) {
      expect((await archive.content(name)).equals(readFileSync(join(pgWal, name)))).toBe(true);
    }
  });

  it('loses nothing of a running server', async () => {
    const random = seededRandom(SEED + 1);
    const archive = createArchive();
    // The shell keeps the kill from the archiver, which would otherwise pause for ten seconds.
    const primary = await createPrimary({
      version: NEWEST_POSTGRES,
      archive,
      segmentMb: 1,
      pushWords: 'wal-push --mark-done -p 4 %p || exit 1',
      settings: { wal_keep_size: '200MB' },
    });
    clusters.push(primary);
    await primary.start({ environment: LOG_TO_SERVER });
    const killer = new AbortController();
    let kills = 0;
    const killing = killPushes(primary, random, killer.signal, () => {
      kills += 1;
    });
    const names = [];
    // On a slow machine a process may be over before it is seen.
    for (let round = 0; round < 6 || (kills < 3 && round < 60); round += 1) {
      await load(primary, round, 2);
      names.push(await switchSegment(primary));
      await delay(400);
    }
    killer.abort();
    await killing;
    const status = join(primary.walDirectory, 'archive_status');
    const waiting = () => readdirSync(status).filter((entry) => entry.endsWith('.ready')).length;
    // A new segment wakes an archiver that has given up for a minute.
    await switchSegment(primary);
    await poll('everything to be archived', () => waiting() === 0);
    await primary.stop();
    expect(kills).toBeGreaterThan(0);
    const done = readdirSync(status)
      .filter((entry) => entry.endsWith('.done'))
      .map((entry) => entry.slice(0, -5));
    expect(done).toEqual(expect.arrayContaining(names));
    await everyOneIsWhole(archive, primary.walDirectory, done);
  });
});

async function everyOneIsWhole(
  archive: Archive,
  walDirectory: string,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    expect((await archive.content(name)).equals(readFileSync(join(walDirectory, name)))).toBe(true);
  }
}

/** Kills pushes of this server until it is told to stop. */
async function killPushes(
  cluster: Cluster,
  random: () => number,
  signal: AbortSignal,
  killed: () => void,
): Promise<void> {
  while (!signal.aborted) {
    const pid = pushOf(cluster);
    await delay(pid === undefined ? 5 : random() * CALL_MS);
    if (pid === undefined || random() < 0.3) continue;
    try {
      process.kill(pid, 'SIGKILL');
      killed();
    } catch {
      // It ended before us.
    }
  }
}

function pushOf(cluster: Cluster): number | undefined {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const isPush = words[0]?.endsWith('node') && words.includes('wal-push');
      if (isPush && environment.includes(`PGDATA=${cluster.dataDirectory}`)) return Number(pid);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}

describe(`wal-fetch and its prefetch, killed at random (seed ${SEED})`, () => {
  it('leave a whole file at the destination or none', async () => {
    const random = seededRandom(SEED + 2);
    const archive = createArchive();
    const folder = createScratch();
    const pgWal = join(folder, 'pg_wal');
    mkdirSync(pgWal);
    const names = [
      '0000000100000000000000F0',
      ...followingSegments('0000000100000000000000F0', ROUNDS / 2, MB),
    ];
    for (const [index, name] of names.entries()) {
      writeFileSync(join(folder, name), segmentBytes(name, MB, SEED + index));
      await runAndKill([`--file-prefix=${archive.prefix}`, 'wal-push', name], folder, LONG_MS);
    }
    const destination = join(pgWal, 'RECOVERYXLOG');
    const whole = (name: string, path: string) => readFileSync(path).equals(readFileSync(join(folder, name)));
    let kills = 0;
    for (let at = 0, round = 0; at < names.length; round += 1) {
      const name = names[at] ?? '';
      rmSync(destination, { force: true });
      const patience = round < ROUNDS ? random() * CALL_MS * 1.5 : LONG_MS;
      const args = [`--file-prefix=${archive.prefix}`, 'wal-fetch', '-p4', name, 'pg_wal/RECOVERYXLOG'];
      const succeeded = await runAndKill(args, folder, patience);
      if (existsSync(destination)) expect(whole(name, destination)).toBe(true);
      if (succeeded) expect(existsSync(destination)).toBe(true);
      if (succeeded) at += 1;
      else kills += 1;
      if (random() < 0.3) killPrefetch(pgWal);
      for (const spooled of spool(pgWal))
        expect(whole(spooled, join(pgWal, '.wal-e/prefetch', spooled))).toBe(true);
    }
    expect(kills).toBeGreaterThan(0);
    await poll('the last prefetch to end', () => killPrefetch(pgWal) === 0);
    expect(readdirSync(pgWal).sort()).toEqual(['.wal-e', 'RECOVERYXLOG']);
  });
});

function spool(pgWal: string): string[] {
  const folder = join(pgWal, '.wal-e/prefetch');
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^[0-9A-F]{24}$/.test(name)) : [];
}

/** Returns how many there were. */
function killPrefetch(pgWal: string): number {
  let kills = 0;
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!words.includes('wal-prefetch') || !words.includes(pgWal)) continue;
      process.kill(Number(pid), 'SIGKILL');
      kills += 1;
    } catch {
      // It ended while we looked.
    }
  }
  return kills;
}
