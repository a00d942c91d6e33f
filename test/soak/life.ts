/** What happens to a database and its archive besides the loss of its server. Kept beside it is what must be restorable. */
import { setTimeout as delay } from 'node:timers/promises';
import { checkAccounts } from '../harness/write-load.ts';
import { copyByHand, openByHand } from './by-hand.ts';
import { call } from './calls.ts';
import { crash } from './crash.ts';
import { fillUp } from './full-disk.ts';
import { pick, serverSettings } from './kind.ts';
import { writtenTo } from './points.ts';
import type { Servers } from './servers.ts';

/** Written to for a while; what it holds then is a point to come back to. */
export async function write(servers: Servers): Promise<void> {
  await servers.writing(() => delay(300 + servers.around.random() * 1500));
  await servers.mark();
}

/** A backup of the primary when it is stopped. */
export async function backUpOffline(servers: Servers): Promise<void> {
  const { cluster } = servers.primary;
  await cluster.stop('fast');
  const args = ['backup-push', '--while-offline', cluster.dataDirectory];
  const { status, stderr } = await call(servers.operator, args);
  if (status !== 0 && status !== null) throw new Error(`backup-push --while-offline: ${stderr}`);
  await servers.primary.start(servers.archiving());
  await servers.keeper.learnMade(await writtenTo(cluster));
  await servers.mark();
}

/** A copy of the server's files that the program did not make needs nothing but the WAL. */
export async function recoverCopyByHand(servers: Servers): Promise<void> {
  const { cluster } = servers.primary;
  let folder = '';
  await servers.writing(async () => {
    folder = await copyByHand(cluster);
  });
  const point = await servers.mark();
  const target = { recovery_target_name: point.name, recovery_target_timeline: String(point.timeline) };
  const settings = { ...serverSettings(servers.around.kind), archive_mode: 'off' };
  const copy = await openByHand(folder, target, settings, cluster.version);
  await servers.reached(copy, point, 'a copy by hand');
  await copy.dispose();
}

export async function loseServer(servers: Servers): Promise<void> {
  const { cluster } = servers.primary;
  const { random } = servers.around;
  await servers.writing(async () => {
    await delay(random() * 500);
    await crash(cluster, random);
  });
  await servers.primary.start(servers.archiving());
  await checkAccounts(cluster);
  await servers.mark();
}

export async function deleteOld(servers: Servers): Promise<void> {
  await standbyCaughtUp(servers);
  await servers.keeper.deleteOld();
}

/** What is being made stays, and what it leaves of the others. */
export async function deleteBesideBackup(servers: Servers): Promise<void> {
  await standbyCaughtUp(servers);
  await servers.keeper.retain([], () => servers.backUp());
}

/** What a standby still needs is not kept for it. */
async function standbyCaughtUp(servers: Servers): Promise<void> {
  if (servers.standby !== undefined) await servers.catchUp(servers.standby);
}

/** Any moment that any backup leads to, looked at and thrown away. */
export async function comeBack(servers: Servers): Promise<void> {
  const way = pick(servers.around.random, servers.past.ways());
  if (way === undefined) return;
  const copy = await servers.restored(way, { archive_mode: 'off' });
  await copy.dispose();
}

/** The archive's disk is full for a while: nothing counts that is not there, and all goes on afterwards. */
export async function haveNoRoom(servers: Servers): Promise<void> {
  const { small, random } = servers.around;
  if (small === undefined) return;
  const empty = fillUp(small);
  try {
    await servers.writing(() => delay(random() * 1500));
    const { dataDirectory, environment } = servers.primary.cluster;
    const args = ['backup-push', '--fast-checkpoint', dataDirectory];
    const { status, stderr } = await call(servers.operator, args, { environment, mortal: false });
    if (status !== 1 || !/no space left/i.test(stderr))
      throw new Error(`on a full disk: ${status} ${stderr}`);
  } finally {
    empty();
  }
  await servers.mark();
}
