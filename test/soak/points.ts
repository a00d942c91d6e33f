/** Moments of a server: made, and found again in another one. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { switchSegment } from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { startWriting } from '../harness/write-load.ts';
import type { Member } from './member.ts';
import { type Point, parseLsn } from './past.ts';

const FINGERPRINT = `select (select md5(string_agg(id || ':' || balance, ',' order by id)) from account)
  || ' ' || (select count(*) || ' ' || coalesce(sum(amount), 0) || ' ' || coalesce(max(id), 0) from transfer)`;

const LIMIT_MS = 600_000;

export async function whileWriting(cluster: Cluster, happens: () => Promise<void>): Promise<void> {
  const load = startWriting(cluster);
  try {
    await happens();
  } finally {
    // Where the server was stopped the clients end with an error.
    await load.stop().catch(() => undefined);
  }
}

export async function writtenTo(cluster: Cluster): Promise<bigint> {
  return parseLsn(await cluster.value('select pg_current_wal_insert_lsn()'));
}

/** Nobody writes meanwhile. What is in the archive then is enough to come back to this moment. */
export async function markPoint(cluster: Cluster, name: string, timeline: number): Promise<Point> {
  const fingerprint = await cluster.value(FINGERPRINT);
  const time = await cluster.value('select clock_timestamp()');
  const lsn = parseLsn(await cluster.value(`select pg_create_restore_point('${name}')`));
  await untilArchived(cluster, await switchSegment(cluster));
  return { name, timeline, lsn, time, fingerprint };
}

/**
 * With all that comes before it: where wal-push takes neighbours along, a later segment may be archived first, and the
 * server lost before the earlier one is. An archiver that failed three times in a row pauses for a minute, unless a new
 * segment wakes it.
 */
async function untilArchived(cluster: Cluster, segment: string): Promise<void> {
  const status = join(cluster.walDirectory, 'archive_status');
  const timeline = segment.slice(0, 8);
  const waits = (name: string) =>
    name.startsWith(timeline) && name.endsWith('.ready') && name <= `${segment}.ready`;
  let looks = 0;
  const isDone = async () => {
    looks += 1;
    if (looks % 100 === 0) await switchSegment(cluster);
    return !readdirSync(status).some(waits);
  };
  await poll(`${segment} to be archived`, isDone, LIMIT_MS).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${(await cluster.serverLog()).slice(-3000)}`);
  });
}

/** The server was started and recovers; when it pauses, all must be as it was at the point. */
export async function expectPoint(copy: Member, point: Point, from: string): Promise<void> {
  await copy.until(
    'the recovery to pause',
    async (cluster) => (await cluster.value('select pg_is_wal_replay_paused()')) === 't',
  );
  await expectFingerprint(copy, point, from);
}

export async function expectFingerprint(copy: Member, point: Point, from: string): Promise<void> {
  const found = await copy.cluster.value(FINGERPRINT);
  if (found !== point.fingerprint)
    throw new Error(`${point.name} was ${point.fingerprint}, and ${from} leads to ${found}`);
}

export async function untilReplayed(standby: Member, lsn: bigint): Promise<void> {
  await standby.until('the standby to follow', async (cluster) => {
    const replayed = await cluster.value("select coalesce(pg_last_wal_replay_lsn(), '0/0')");
    return parseLsn(replayed) >= lsn;
  });
}
