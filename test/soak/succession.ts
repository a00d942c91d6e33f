/** Who is the primary: it is lost, and a copy, a standby or what the archive holds goes on in its place. */
import { setTimeout as delay } from 'node:timers/promises';
import { expectSound } from '../harness/sound-cluster.ts';
import { call } from './calls.ts';
import { crash } from './crash.ts';
import { pick } from './kind.ts';
import { type Member, timelineOf } from './member.ts';
import { expectFingerprint, untilReplayed, whileWriting, writtenTo } from './points.ts';
import type { Servers } from './servers.ts';

/** A standby is made where there is none; else it crashes, or is given up. */
export async function haveStandby(servers: Servers): Promise<void> {
  const { random, kind, say } = servers.around;
  const { standby, past } = servers;
  if (standby !== undefined) {
    if (random() < 0.3) return servers.dropStandby();
    await crash(standby.cluster, random);
    return standby.start();
  }
  const here = await servers.here();
  const backup = pick(
    random,
    past.backups.filter((one) => past.leadsTo(one, here)),
  );
  if (backup === undefined) return;
  const { socketDirectory, port, user } = servers.primary.cluster;
  const isStreaming = random() < 0.7;
  const streamsFrom = isStreaming ? `host=${socketDirectory} port=${port} user=${user}` : undefined;
  const what = { backup: backup.name, options: ['--standby'], streamsFrom };
  // One that crosses to another timeline would ask for segments that it only made ahead: see docs/standby.md.
  const archives = backup.timeline === here.timeline ? kind.standbyArchives : 'on';
  servers.standby = await servers.fetch(what, { archive_mode: archives });
  await servers.standby.start(servers.recovering());
  say(`a standby ${isStreaming ? 'that streams' : 'that follows by the archive'} runs`);
}

/** The server is lost; what follows it goes on from a point, most often the last one. */
export async function failOver(servers: Servers): Promise<void> {
  const { random } = servers.around;
  const ways = servers.past.ways();
  const last = ways.filter(({ point }) => point === servers.past.points.at(-1));
  const way = pick(random, last.length > 0 && random() < 0.7 ? last : ways);
  if (way === undefined) return;
  await servers.dropStandby();
  await servers.primary.dispose();
  servers.primary = await servers.restored(way, {});
  await servers.primary.promote('paused');
  await succeed(servers);
}

/** The server is lost, and its successor has all that was archived. */
export async function recoverAll(servers: Servers): Promise<void> {
  const { past } = servers;
  const point = await servers.mark();
  const backup = pick(
    servers.around.random,
    past.backups.filter((one) => past.leadsTo(one, point)),
  );
  if (backup === undefined) return;
  await servers.dropStandby();
  await servers.primary.dispose();
  const name = backup === past.backups.at(-1) ? 'LATEST' : backup.name;
  const successor = await servers.fetch({ backup: name, options: [] }, {});
  servers.primary = successor;
  await successor.start(servers.recovering());
  await successor.until(
    'the end of the recovery',
    async (cluster) => (await cluster.value('select pg_is_in_recovery()')) === 'f',
  );
  await expectFingerprint(successor, point, backup.name);
  servers.returns += 1;
  await succeed(servers);
}

/** The primary is lost; the standby has all that was archived, and perhaps more. The old one may come back. */
export async function promoteStandby(servers: Servers): Promise<void> {
  const { random } = servers.around;
  const { standby, primary, timeline } = servers;
  if (standby === undefined) return;
  const { lsn } = await servers.mark();
  if (random() < 0.5) await servers.writing(() => delay(random() * 1000));
  await untilReplayed(standby, lsn);
  await primary.cluster.stop(random() < 0.5 ? 'immediate' : 'fast');
  servers.primary = standby;
  servers.standby = undefined;
  await standby.promote('standby');
  await succeed(servers);
  if (random() < 0.4) await haunt(servers, primary, timeline);
  await primary.dispose();
}

/** Somebody starts the old primary, which goes on as if nothing were, and archives. */
async function haunt(servers: Servers, old: Member, timeline: number): Promise<void> {
  servers.around.say(`the old primary of timeline ${timeline} comes back`);
  const { dataDirectory, environment } = old.cluster;
  await old.start(servers.archiving());
  await whileWriting(old.cluster, async () => {
    const args = ['backup-push', '--fast-checkpoint', dataDirectory];
    const { status, stderr } = await call(servers.operator, args, { environment });
    if (status !== 0 && status !== null) throw new Error(`backup-push of the old primary: ${stderr}`);
  });
  await servers.keeper.learnMade(await writtenTo(old.cluster));
  await servers.mark(old, timeline);
}

async function succeed(servers: Servers): Promise<void> {
  const { timeline, history } = await timelineOf(servers.primary);
  servers.around.say(`timeline ${timeline}: ${history.trim().split('\n').at(-1)}`);
  servers.past.addTimeline(timeline, history);
  servers.timeline = timeline;
  await expectSound(servers.primary.cluster);
  await servers.backUp();
}
