/**
 * The life of a database and its archive: it is written to, backed up, crashes, is restored to moments of its past on any
 * of its timelines, goes on from one of them, and old backups are deleted. Kept beside it is what must be restorable.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { switchSegment } from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, createCluster, openCluster } from '../harness/postgres.ts';
import { type ProgramResult, startProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { expectSound } from '../harness/sound-cluster.ts';
import { stageProgram } from '../harness/staging.ts';
import { checkAccounts, createAccounts, startWriting, type WriteLoad } from '../harness/write-load.ts';

/** A place on one of the timelines. */
interface Place {
  readonly timeline: number;
  /** Of all points and backups, in the order in which they were made. */
  readonly order: number;
}

interface Point extends Place {
  readonly name: string;
  readonly fingerprint: string;
}

interface Backup extends Place {
  readonly name: string;
}

export interface Surroundings {
  readonly version: number;
  /** Where the archive is, and how to get there. */
  readonly environment: Readonly<Record<string, string>>;
  readonly random: () => number;
  readonly say: (what: string) => void;
}

const MARK = { WALE_SOAK: String(process.pid), WALE_LOG_DESTINATION: 'stderr' };

const FINGERPRINT = `select (select md5(string_agg(id || ':' || balance, ',' order by id)) from account)
  || ' ' || (select count(*) || ' ' || coalesce(sum(amount), 0) || ' ' || coalesce(max(id), 0) from transfer)`;

export class Life {
  readonly #around: Surroundings;
  readonly #points: Point[] = [];
  #backups: Backup[] = [];
  /** Where each timeline left another one; the first has no entry. */
  readonly #forks = new Map<number, Place>();
  #primary: Cluster;
  #timeline = 1;
  #order = 0;
  #returns = 0;

  static async begin(around: Surroundings): Promise<Life> {
    const settings = { wal_level: 'replica', ...archiving(), wal_keep_size: '32MB' };
    const { version } = around;
    const primary = await createCluster({ version, segmentMb: 1, initdbArguments: ['-k'], settings });
    const life = new Life(around, primary);
    await life.#start(primary);
    await createAccounts(primary);
    await life.backUp();
    return life;
  }

  private constructor(around: Surroundings, primary: Cluster) {
    this.#around = around;
    this.#primary = primary;
  }

  /** How often a point was restored, and was as it had been. */
  timesComeBack(): number {
    return this.#returns;
  }

  async end(): Promise<void> {
    await this.#primary.dispose();
  }

  /** Written to for a while; what it holds then is a point to come back to. */
  async write(): Promise<void> {
    await this.#writing(() => delay(300 + this.#around.random() * 1500));
    await this.#mark();
  }

  /** While it is written to; a killed one must not count. */
  async backUp(): Promise<void> {
    const { dataDirectory, environment } = this.#primary;
    const args = ['backup-push', '--fast-checkpoint', '--pool-size', '2', dataDirectory];
    await this.#writing(async () => {
      const { status, stderr } = await this.#wale(args, environment);
      if (status === null) return;
      if (status !== 0) throw new Error(`backup-push: ${stderr}`);
    });
    const known = new Set(this.#backups.map(({ name }) => name));
    for (const name of await this.#listed()) {
      // One that was killed at its very end is listed, too.
      if (!known.has(name)) this.#backups.push({ name, timeline: this.#timeline, order: this.#next() });
    }
    await this.#mark();
  }

  async crash(): Promise<void> {
    await this.#writing(async () => {
      await delay(this.#around.random() * 500);
      await this.#primary.stop('immediate');
    });
    await this.#start(this.#primary);
    await checkAccounts(this.#primary);
    await this.#mark();
  }

  async deleteOld(): Promise<void> {
    const keep = 1 + Math.floor(this.#around.random() * 3);
    const args = ['delete', '--confirm', 'retain', String(keep)];
    const { status, stderr } = await this.#wale(args);
    if (status !== 0 && status !== null) throw new Error(`delete: ${stderr}`);
    const listed = new Set(await this.#listed());
    const newest = this.#backups.slice(-keep);
    const lost = newest.filter(({ name }) => !listed.has(name));
    if (lost.length > 0) throw new Error(`retain ${keep} took ${lost.map(({ name }) => name)}\n${stderr}`);
    this.#backups = this.#backups.filter(({ name }) => listed.has(name));
  }

  /** Any moment that any backup leads to, looked at and thrown away. */
  async comeBack(): Promise<void> {
    const ways = this.#ways();
    const way = ways[Math.floor(this.#around.random() * ways.length)];
    if (way === undefined) return;
    const copy = await this.#restored(way.backup, way.point, { archive_mode: 'off' });
    await copy.dispose();
  }

  /** The server is lost; what follows it goes on from a point, most often the last one. */
  async failOver(): Promise<void> {
    const ways = this.#ways();
    const last = ways.filter(({ point }) => point === this.#points.at(-1));
    const among = last.length > 0 && this.#around.random() < 0.7 ? last : ways;
    const way = among[Math.floor(this.#around.random() * among.length)];
    if (way === undefined) return;
    await this.#primary.dispose();
    const successor = await this.#restored(way.backup, way.point, archiving());
    this.#primary = successor;
    await successor.query('select pg_wal_replay_resume()');
    await poll('the promotion', async () => (await successor.value('select pg_is_in_recovery()')) === 'f');
    const segment = await successor.value('select pg_walfile_name(pg_current_wal_lsn())');
    this.#timeline = Number.parseInt(segment.slice(0, 8), 16);
    this.#forks.set(this.#timeline, { timeline: way.point.timeline, order: way.point.order });
    await expectSound(successor);
    await this.backUp();
  }

  /** Processes of PostgreSQL's that may end at any moment without harm, ended at random until the signal aborts. */
  async killing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(400 * this.#around.random());
      const pids = runningCalls();
      const pid = pids[Math.floor(this.#around.random() * pids.length)];
      if (pid !== undefined && this.#around.random() < 0.2) kill(pid);
    }
  }

  #next(): number {
    this.#order += 1;
    return this.#order;
  }

  async #start(cluster: Cluster): Promise<void> {
    await cluster.start({ environment: { ...MARK, ...this.#around.environment } });
  }

  async #writing(meanwhile: () => Promise<void>): Promise<void> {
    const load: WriteLoad = startWriting(this.#primary);
    try {
      await meanwhile();
    } finally {
      // Where the server was stopped the clients end with an error.
      await load.stop().catch(() => undefined);
    }
  }

  /** What is in the archive now is enough to come back to this moment. */
  async #mark(): Promise<void> {
    const order = this.#next();
    const name = `point-${order}`;
    const fingerprint = await this.#primary.value(FINGERPRINT);
    await this.#primary.query(`select pg_create_restore_point('${name}')`);
    await this.#archived(await switchSegment(this.#primary));
    this.#points.push({ name, timeline: this.#timeline, order, fingerprint });
  }

  /** An archiver that failed three times in a row pauses for a minute, unless a new segment wakes it. */
  async #archived(segment: string): Promise<void> {
    const waits = join(this.#primary.walDirectory, 'archive_status', `${segment}.ready`);
    let looks = 0;
    await poll(`${segment} to be archived`, async () => {
      looks += 1;
      if (looks % 100 === 0) await switchSegment(this.#primary);
      return !existsSync(waits);
    });
  }

  /** Each point with each backup that leads to it. */
  #ways(): { readonly backup: Backup; readonly point: Point }[] {
    return this.#points.flatMap((point) =>
      this.#backups.filter((backup) => this.#leadsTo(backup, point)).map((backup) => ({ backup, point })),
    );
  }

  #leadsTo(backup: Place, place: Place | undefined): boolean {
    if (place === undefined) return false;
    if (backup.timeline === place.timeline) return backup.order < place.order;
    return this.#leadsTo(backup, this.#forks.get(place.timeline));
  }

  /** Paused at the point, with what was there then. */
  async #restored(
    backup: Backup,
    point: Point,
    settings: Readonly<Record<string, string>>,
  ): Promise<Cluster> {
    this.#around.say(`from ${backup.name} to ${point.name} on timeline ${point.timeline}`);
    const directory = join(createScratch(), 'data');
    const target = ['--target-name', point.name, '--target-timeline', String(point.timeline)];
    const name = backup === this.#backups.at(-1) ? 'LATEST' : backup.name;
    const args = ['backup-fetch', '--recovery-conf', ...target, directory, name];
    for (let round = 0; ; round += 1) {
      const { status, stderr } = await this.#wale(args, {}, round === 0);
      if (status === 0) break;
      if (status !== null) throw new Error(`backup-fetch: ${stderr}`);
    }
    useStagedProgram(directory);
    const cluster = await openCluster(directory, { settings: { hot_standby: 'on', ...settings } });
    await this.#start(cluster);
    await poll(
      'the recovery to pause',
      async () => (await cluster.value('select pg_is_wal_replay_paused()')) === 't',
    );
    const found = await cluster.value(FINGERPRINT);
    if (found !== point.fingerprint) {
      throw new Error(`${point.name} was ${point.fingerprint}, and ${backup.name} leads to ${found}`);
    }
    this.#returns += 1;
    return cluster;
  }

  /** Backups that are there, oldest first. */
  async #listed(): Promise<string[]> {
    const { status, stdout, stderr } = await this.#wale(['backup-list', '--json'], {}, false);
    if (status !== 0) throw new Error(`backup-list: ${stderr}`);
    const all: unknown = JSON.parse(stdout);
    if (!Array.isArray(all)) throw new Error(`backup-list --json: ${stdout}`);
    return all.map(({ name }) => String(name));
  }

  /** One in four is killed (status null), sooner or later. */
  async #wale(
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
    mortal = true,
  ): Promise<ProgramResult> {
    const environment = { ...MARK, ...this.#around.environment, ...more };
    const { child, finished } = startProgram(['--terse', ...args], { environment });
    const patience = mortal && this.#around.random() < 0.25 ? this.#around.random() * 2500 : undefined;
    const timer = patience === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), patience);
    const result = await finished;
    clearTimeout(timer);
    this.#around.say(`${args[0]} ${result.status === null ? 'was killed' : `exited ${result.status}`}`);
    return result;
  }
}

/** A killed archive_command would make the archiver pause for ten seconds; a shell takes that on itself. */
function archiving(): Record<string, string> {
  const command = `${stageProgram()} --terse wal-push --mark-done -p 4 %p || exit 1`;
  return { archive_mode: 'on', archive_command: command };
}

/** The server's user may not be able to read this checkout, which restore_command names. */
function useStagedProgram(directory: string): void {
  const path = join(directory, 'postgresql.auto.conf');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/^(restore_command = ')\S+ \S+/m, `$1${stageProgram()}`));
}

/** wal-push and what fetches ahead; a wal-fetch that dies of a signal ends the recovery, as PostgreSQL has it. */
function runningCalls(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      const words = procFile(pid, 'cmdline').split('\0');
      if (!words.includes('wal-push') && !words.includes('wal-prefetch')) return false;
      return procFile(pid, 'environ').split('\0').includes(`WALE_SOAK=${MARK.WALE_SOAK}`);
    });
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended before us.
  }
}
