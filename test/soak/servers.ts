/** The servers of a life: the primary, a standby where there is one, copies for a while; and what they need. */
import { createCluster } from '../harness/postgres.ts';
import { createAccounts } from '../harness/write-load.ts';
import { call, MARK, type Operator } from './calls.ts';
import { Keeper } from './keeper.ts';
import { createKeys, type Keys, type Kind, serverSettings } from './kind.ts';
import { Member } from './member.ts';
import { Past, type Place, type Point, parseLsn, type Way } from './past.ts';
import { expectPoint, markPoint, untilReplayed, whileWriting, writtenTo } from './points.ts';
import { chooseTarget, type Restore, restore } from './restoring.ts';

export interface Surroundings {
  readonly kind: Kind;
  /** Where the archive is, and how to get there. */
  readonly environment: Readonly<Record<string, string>>;
  /** The archive's folder, where it is a small file system of its own. */
  readonly small: string | undefined;
  readonly random: () => number;
  readonly say: (what: string) => void;
}

export class Servers {
  readonly around: Surroundings;
  readonly operator: Operator;
  readonly past = new Past();
  readonly keeper: Keeper;
  readonly #keys: Keys;
  primary: Member;
  standby: Member | undefined;
  timeline = 1;
  /** How often a point was restored, and was as it had been. */
  returns = 0;
  #oids: readonly string[] = [];
  #marks = 0;

  /** With a backup. */
  static async begin(around: Surroundings): Promise<Servers> {
    const { version, segmentMb, tablespaces } = around.kind;
    const cluster = await createCluster({
      version,
      segmentMb: version < 11 ? undefined : segmentMb,
      initdbArguments: ['-k'],
      tablespaces,
      settings: serverSettings(around.kind),
    });
    const servers = new Servers(around, new Member(cluster));
    await servers.#fill();
    return servers;
  }

  private constructor(around: Surroundings, primary: Member) {
    this.around = around;
    this.primary = primary;
    this.#keys = createKeys(around.kind);
    const { random, say } = around;
    this.operator = { random, say, environment: { ...around.environment, ...this.#keys.operator } };
    this.keeper = new Keeper(this.operator, this.past);
  }

  async end(): Promise<void> {
    await this.standby?.dispose();
    await this.primary.dispose();
    this.#keys.dispose();
  }

  /** Of a server that archives. */
  archiving(): Record<string, string> {
    return { ...MARK, ...this.around.environment, ...this.#keys.archiving };
  }

  recovering(): Record<string, string> {
    return { ...MARK, ...this.around.environment, ...this.#keys.recovering };
  }

  async writing(meanwhile: () => Promise<void>): Promise<void> {
    await whileWriting(this.primary.cluster, meanwhile);
  }

  async mark(server = this.primary, timeline = this.timeline): Promise<Point> {
    this.#marks += 1;
    const point = await markPoint(server.cluster, `point-${this.#marks}`, timeline);
    this.past.points.push(point);
    return point;
  }

  /** Where the primary is. */
  async here(): Promise<Place> {
    return { timeline: this.timeline, lsn: await writtenTo(this.primary.cluster) };
  }

  /** While it is written to, from the primary or the standby; a killed one must not count. */
  async backUp(): Promise<void> {
    const standby = this.around.random() < 0.5 ? this.standby : undefined;
    if (standby !== undefined) await this.catchUp(standby);
    const { dataDirectory, environment } = (standby ?? this.primary).cluster;
    const args = ['backup-push', '--fast-checkpoint', '--pool-size', '2', dataDirectory];
    await this.writing(async () => {
      const { status, stderr } = await call(this.operator, args, { environment });
      if (status === 0 || status === null || (standby !== undefined && mayFail(standby, stderr))) return;
      throw new Error(`backup-push: ${stderr}`);
    });
    await this.keeper.learnMade(await writtenTo(this.primary.cluster));
    await this.mark();
  }

  /** Without a checkpoint in between a standby's backup would start where another one did. */
  async catchUp(standby: Member): Promise<void> {
    const { cluster } = this.primary;
    await cluster.query('checkpoint');
    await untilReplayed(standby, parseLsn(await cluster.value("select pg_create_restore_point('here')")));
  }

  async dropStandby(): Promise<void> {
    const standby = this.standby;
    this.standby = undefined;
    await standby?.dispose();
  }

  /** Not started. */
  fetch(
    what: Pick<Restore, 'backup' | 'options' | 'streamsFrom'>,
    settings: Restore['settings'],
  ): Promise<Member> {
    const all = { ...serverSettings(this.around.kind), ...settings };
    return restore(this.operator, { ...what, oids: this.#oids, settings: all });
  }

  /** Paused at the point, with what was there then. */
  async restored(way: Way, settings: Restore['settings']): Promise<Member> {
    const { backup, point } = way;
    this.around.say(`from ${backup.name} to ${point.name} on timeline ${point.timeline}`);
    const copy = await this.fetch(chooseTarget(this.around.random, way, this.timeline, this.past), settings);
    await this.reached(copy, point, backup.name);
    return copy;
  }

  async reached(copy: Member, point: Point, from: string): Promise<void> {
    await copy.start(this.recovering());
    await expectPoint(copy, point, from);
    this.returns += 1;
  }

  async #fill(): Promise<void> {
    await this.primary.start(this.archiving());
    const { cluster } = this.primary;
    await createAccounts(cluster);
    const [first, second = first] = this.around.kind.tablespaces;
    if (first !== undefined)
      await cluster.query(
        `alter table transfer set tablespace ${first}; alter index account_pkey set tablespace ${second}`,
      );
    const spaces = await cluster.query("select oid from pg_tablespace where spcname not like 'pg\\_%'");
    this.#oids = spaces.map(({ oid }) => oid ?? '');
    while (this.past.backups.length === 0) await this.backUp();
  }
}

/** It ended with its wal-fetch, or the answer of the store got lost: then it cannot know whose what is there is. */
function mayFail(standby: Member, stderr: string): boolean {
  return !standby.cluster.isRunning() || stderr.includes('another backup of the same name is not finished');
}
