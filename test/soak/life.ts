/**
 * The life of a database and its archive: it is written to, backed up, crashes, is followed by a standby and succeeded by
 * it, is restored to moments of its past on any of its timelines, goes on from one of them, and old backups are deleted.
 * Kept beside it is what must be restorable.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createCluster } from '../harness/postgres.ts';
import type { ProgramResult } from '../harness/program.ts';
import { expectSound } from '../harness/sound-cluster.ts';
import { checkAccounts, createAccounts } from '../harness/write-load.ts';
import { copyByHand, openByHand } from './by-hand.ts';
import { type CallOptions, call, MARK, type Operator } from './calls.ts';
import { fillUp } from './full-disk.ts';
import { Keeper } from './keeper.ts';
import { createKeys, type Keys, type Kind, pick, serverSettings } from './kind.ts';
import { Member, timelineOf } from './member.ts';
import { Past, type Place, type Point, type Way } from './past.ts';
import { expectPoint, markPoint, untilReplayed, whileWriting, writtenTo } from './points.ts';
import { chooseTarget, restore } from './restoring.ts';

export interface Surroundings {
  readonly kind: Kind;
  /** Where the archive is, and how to get there. */
  readonly environment: Readonly<Record<string, string>>;
  /** The archive's folder, where it is a small file system of its own. */
  readonly small: string | undefined;
  readonly random: () => number;
  readonly say: (what: string) => void;
}

export class Life {
  readonly #around: Surroundings;
  readonly #keys: Keys;
  readonly #operator: Operator;
  readonly #past = new Past();
  readonly #keeper: Keeper;
  #primary: Member;
  #standby: Member | undefined;
  #oids: readonly string[] = [];
  #timeline = 1;
  #marks = 0;
  #returns = 0;

  static async begin(around: Surroundings): Promise<Life> {
    const { version, segmentMb, tablespaces } = around.kind;
    const cluster = await createCluster({
      version,
      segmentMb: version < 11 ? undefined : segmentMb,
      initdbArguments: ['-k'],
      tablespaces,
      settings: serverSettings(around.kind),
    });
    const life = new Life(around, new Member(cluster));
    await life.#fill();
    return life;
  }

  private constructor(around: Surroundings, primary: Member) {
    this.#around = around;
    this.#primary = primary;
    this.#keys = createKeys(around.kind);
    const { random, say } = around;
    this.#operator = { random, say, environment: { ...around.environment, ...this.#keys.operator } };
    this.#keeper = new Keeper(this.#operator, this.#past);
  }

  /** How often a point was restored, and was as it had been. */
  timesComeBack(): number {
    return this.#returns;
  }

  async end(): Promise<void> {
    await this.#standby?.dispose();
    await this.#primary.dispose();
    this.#keys.dispose();
  }

  /** Written to for a while; what it holds then is a point to come back to. */
  async write(): Promise<void> {
    await this.#writing(() => delay(300 + this.#around.random() * 1500));
    await this.#mark();
  }

  /** While it is written to, from the primary or the standby; a killed one must not count. */
  async backUp(): Promise<void> {
    const standby = this.#around.random() < 0.5 ? this.#standby : undefined;
    if (standby !== undefined) await this.#checkpointed(standby);
    const { dataDirectory, environment } = (standby ?? this.#primary).cluster;
    const args = ['backup-push', '--fast-checkpoint', '--pool-size', '2', dataDirectory];
    await this.#writing(async () => {
      const { status, stderr } = await this.#wale(args, { environment });
      const ended = standby?.cluster.isRunning() === false;
      if (status !== 0 && status !== null && !ended) throw new Error(`backup-push: ${stderr}`);
    });
    await this.#keeper.learnMade(await writtenTo(this.#primary.cluster));
    await this.#mark();
  }

  /** Of the primary when it is stopped. */
  async backUpOffline(): Promise<void> {
    const { cluster } = this.#primary;
    await cluster.stop('fast');
    const { status, stderr } = await this.#wale(['backup-push', '--while-offline', cluster.dataDirectory]);
    if (status !== 0 && status !== null) throw new Error(`backup-push --while-offline: ${stderr}`);
    await this.#primary.start(this.#archiving());
    await this.#keeper.learnMade(await writtenTo(this.#primary.cluster));
    await this.#mark();
  }

  /** A copy of the server's files that the program did not make needs nothing but the WAL. */
  async copyByHand(): Promise<void> {
    const { cluster } = this.#primary;
    let folder = '';
    await this.#writing(async () => {
      folder = await copyByHand(cluster);
    });
    await this.#mark();
    const point = this.#past.points.at(-1);
    if (point === undefined) return;
    const target = { recovery_target_name: point.name, recovery_target_timeline: String(point.timeline) };
    const settings = { ...serverSettings(this.#around.kind), archive_mode: 'off' };
    const copy = await openByHand(folder, target, settings, cluster.version);
    await this.#reached(copy, point, 'a copy by hand');
    await copy.dispose();
  }

  async crash(): Promise<void> {
    await this.#writing(async () => {
      await delay(this.#around.random() * 500);
      await this.#primary.cluster.stop('immediate');
    });
    await this.#primary.start(this.#archiving());
    await checkAccounts(this.#primary.cluster);
    await this.#mark();
  }

  async deleteOld(): Promise<void> {
    await this.#caughtUp();
    await this.#keeper.deleteOld();
  }

  /** What is being made stays, and what it leaves of the others. */
  async deleteBesideBackup(): Promise<void> {
    await this.#caughtUp();
    await this.#keeper.retain([], () => this.backUp());
  }

  async verify(): Promise<void> {
    await this.#keeper.verify();
  }

  /** Any moment that any backup leads to, looked at and thrown away. */
  async comeBack(): Promise<void> {
    const way = pick(this.#around.random, this.#past.ways());
    if (way === undefined) return;
    const copy = await this.#restored(way, { archive_mode: 'off' });
    await copy.dispose();
  }

  /** The server is lost; what follows it goes on from a point, most often the last one. */
  async failOver(): Promise<void> {
    const ways = this.#past.ways();
    const last = ways.filter(({ point }) => point === this.#past.points.at(-1));
    const among = last.length > 0 && this.#around.random() < 0.7 ? last : ways;
    const way = pick(this.#around.random, among);
    if (way === undefined) return;
    await this.#dropStandby();
    await this.#primary.dispose();
    this.#primary = await this.#restored(way, {});
    await this.#succeed('paused');
  }

  /** A standby is made where there is none; else it crashes, or is given up. */
  async haveStandby(): Promise<void> {
    const { random, kind } = this.#around;
    if (this.#standby !== undefined) {
      if (random() < 0.3) return this.#dropStandby();
      await this.#standby.cluster.stop('immediate');
      await this.#standby.start();
      return;
    }
    const here: Place = { timeline: this.#timeline, lsn: await writtenTo(this.#primary.cluster) };
    const backup = pick(
      random,
      this.#past.backups.filter((one) => this.#past.leadsTo(one, here)),
    );
    if (backup === undefined) return;
    const { socketDirectory, port, user } = this.#primary.cluster;
    const isStreaming = random() < 0.7;
    const standby = await restore(this.#operator, {
      backup: backup.name,
      options: ['--standby'],
      oids: this.#oids,
      settings: { ...serverSettings(kind), archive_mode: kind.standbyArchives },
      streamsFrom: isStreaming ? `host=${socketDirectory} port=${port} user=${user}` : undefined,
    });
    this.#standby = standby;
    await standby.start(this.#recovering());
    this.#around.say(`a standby ${isStreaming ? 'that streams' : 'that follows by the archive'} runs`);
  }

  /** The primary is lost; the standby has all that was archived, and perhaps more. */
  async promoteStandby(): Promise<void> {
    const { random } = this.#around;
    if (this.#standby === undefined) return;
    const standby = this.#standby;
    await this.#mark();
    if (random() < 0.5) await this.#writing(() => delay(random() * 1000));
    await untilReplayed(standby, this.#past.points.at(-1)?.lsn ?? 0n);
    await this.#primary.cluster.stop(random() < 0.5 ? 'immediate' : 'fast');
    await this.#primary.dispose();
    this.#primary = standby;
    this.#standby = undefined;
    await this.#succeed('standby');
  }

  /** The archive's disk is full for a while: nothing counts that is not there, and all goes on afterwards. */
  async haveNoRoom(): Promise<void> {
    if (this.#around.small === undefined) return;
    const empty = fillUp(this.#around.small);
    try {
      await this.#writing(() => delay(this.#around.random() * 1500));
      const { dataDirectory, environment } = this.#primary.cluster;
      const args = ['backup-push', '--fast-checkpoint', dataDirectory];
      const { status, stderr } = await this.#wale(args, { environment, mortal: false });
      if (status !== 1 || !/no space left/i.test(stderr))
        throw new Error(`on a full disk: ${status} ${stderr}`);
    } finally {
      empty();
    }
    await this.#mark();
  }

  async #fill(): Promise<void> {
    await this.#primary.start(this.#archiving());
    const { cluster } = this.#primary;
    await createAccounts(cluster);
    const [first, second = first] = this.#around.kind.tablespaces;
    if (first !== undefined)
      await cluster.query(
        `alter table transfer set tablespace ${first}; alter index account_pkey set tablespace ${second}`,
      );
    const spaces = await cluster.query("select oid from pg_tablespace where spcname not like 'pg\\_%'");
    this.#oids = spaces.map(({ oid }) => oid ?? '');
    while (this.#past.backups.length === 0) await this.backUp();
  }

  #archiving(): Record<string, string> {
    return { ...MARK, ...this.#around.environment, ...this.#keys.archiving };
  }

  #recovering(): Record<string, string> {
    return { ...MARK, ...this.#around.environment, ...this.#keys.recovering };
  }

  /** The server that is restored, or was a standby, goes on as the primary. */
  async #succeed(from: 'standby' | 'paused'): Promise<void> {
    await this.#primary.promote(from);
    const { timeline, history } = await timelineOf(this.#primary);
    this.#around.say(`timeline ${timeline}: ${history.trim().split('\n').at(-1)}`);
    this.#past.addTimeline(timeline, history);
    this.#timeline = timeline;
    await expectSound(this.#primary.cluster);
    await this.backUp();
  }

  /** What a standby still needs is not kept for it. */
  async #caughtUp(): Promise<void> {
    if (this.#standby !== undefined) await this.#checkpointed(this.#standby);
  }

  async #dropStandby(): Promise<void> {
    const standby = this.#standby;
    this.#standby = undefined;
    await standby?.dispose();
  }

  /** Without a checkpoint in between a standby's backup would start where another one did. */
  async #checkpointed(standby: Member): Promise<void> {
    await this.#primary.cluster.query('checkpoint');
    await untilReplayed(standby, await writtenTo(this.#primary.cluster));
  }

  async #writing(meanwhile: () => Promise<void>): Promise<void> {
    await whileWriting(this.#primary.cluster, meanwhile);
  }

  async #mark(): Promise<void> {
    this.#marks += 1;
    this.#past.points.push(await markPoint(this.#primary.cluster, `point-${this.#marks}`, this.#timeline));
  }

  /** Paused at the point, with what was there then. */
  async #restored(way: Way, settings: Readonly<Record<string, string>>): Promise<Member> {
    const { backup, point } = way;
    this.#around.say(`from ${backup.name} to ${point.name} on timeline ${point.timeline}`);
    const copy = await restore(this.#operator, {
      ...chooseTarget(this.#around.random, way, this.#timeline),
      oids: this.#oids,
      settings: { ...serverSettings(this.#around.kind), ...settings },
    });
    await this.#reached(copy, point, backup.name);
    return copy;
  }

  async #reached(copy: Member, point: Point, from: string): Promise<void> {
    await copy.start(this.#recovering());
    await expectPoint(copy, point, from);
    this.#returns += 1;
  }

  #wale(args: readonly string[], options: CallOptions = {}): Promise<ProgramResult> {
    return call(this.#operator, args, options);
  }
}
