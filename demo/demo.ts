/**
 * The main job from end to end, on a PostgreSQL of its own: archive, back up under load, lose everything, restore to a
 * point in time, compare. Run by `npm run demo`; on the S3 store of the environment when WALE_S3_PREFIX is set there,
 * else in files. Leaves nothing behind.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { serverAccount } from '../test/harness/account.ts';
import { poll } from '../test/harness/poll.ts';
import { type Cluster, createCluster, openCluster } from '../test/harness/postgres.ts';
import { createScratch } from '../test/harness/scratch.ts';
import { stageProgram } from '../test/harness/staging.ts';
import { createAccounts, startWriting } from '../test/harness/write-load.ts';
import { type Archive, demoArchive } from './archive.ts';
import { Interruption, watchInterruption } from './interruption.ts';
import { command, note, result, step } from './narrator.ts';

const WRITE_MS = 4000;
/** Everything that the clients wrote, as one value: it changes with any row. */
const FINGERPRINT = `select (select count(*) from transfer) || ' transfers, '
  || (select md5(string_agg(id || ':' || balance, ',' order by id)) from account)`;

async function main(signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const account = serverAccount();
  const scratch = createScratch(account);
  const archive = demoArchive(scratch, account, process.env, signal);
  const servers: Cluster[] = [];
  try {
    await demonstrate({ archive, scratch, servers, signal });
    note(`All of it took ${Math.round((performance.now() - started) / 1000)} s.`);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    step('Cleaning up');
    await cleanUp(archive, scratch, servers);
    result('Servers, archive and temporary files are gone.');
  }
}

/** Servers first, so that nothing is archived any more. What cannot be removed keeps nothing else from being so. */
async function cleanUp(archive: Archive, scratch: string, servers: readonly Cluster[]): Promise<void> {
  const disposed = await Promise.allSettled(servers.map((server) => server.dispose()));
  const [removed] = await Promise.allSettled([archive.remove()]);
  rmSync(scratch, { recursive: true, force: true });
  if (removed?.status === 'rejected')
    throw new Error(`what is left at ${archive.url} has to be deleted by hand`, { cause: removed.reason });
  const failed = disposed.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

interface Stage {
  readonly archive: Archive;
  readonly scratch: string;
  /** Those that were made, to be disposed of. */
  readonly servers: Cluster[];
  readonly signal: AbortSignal;
}

async function demonstrate({ archive, scratch, servers, signal }: Stage): Promise<void> {
  step('1. A PostgreSQL server that archives its WAL with wal-e');
  const archiveCommand = `'${stageProgram()}' --terse --envdir ${archive.envdir} wal-push %p`;
  note(`The archive is ${archive.url}; ${archive.envdir} holds its settings.`);
  note(
    `In postgresql.conf: archive_mode = on, archive_command = 'wal-e --envdir ${archive.envdir} wal-push %p'`,
  );
  const source = await createCluster({
    initdbArguments: ['-k'],
    settings: {
      wal_level: 'replica',
      archive_mode: 'on',
      archive_command: archiveCommand,
      max_wal_senders: '2',
    },
  });
  servers.push(source);
  signal.throwIfAborted();
  await source.start();
  result(await source.value('select version()'));

  step('2. Two clients move money between 1000 accounts; a base backup is taken meanwhile');
  await createAccounts(source);
  const load = startWriting(source);
  await archive.run(['backup-push', '--fast-checkpoint', source.dataDirectory], source);
  await delay(WRITE_MS, undefined, { signal });
  await load.stop();

  step('3. The moment that we want back');
  const fingerprint = await source.value(FINGERPRINT);
  const moment = await source.value(
    "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'",
  );
  result(`At ${moment}: ${fingerprint}`);

  step('4. More writes, a mistake, and then the disk is lost');
  const later = startWriting(source);
  await delay(WRITE_MS / 4, undefined, { signal });
  await later.stop();
  command('psql -c "delete from account"');
  await source.query('delete from account');
  const segment = await source.value('select pg_walfile_name(pg_switch_wal())');
  await until(
    `${segment} to be archived`,
    source,
    `select coalesce(last_archived_wal, '') >= '${segment}' from pg_stat_archiver`,
    signal,
  );
  await source.dispose();
  command(`rm -rf ${source.dataDirectory}`);
  result('The server and its data directory are gone. What is left is the archive.');

  step('5. What is in the archive');
  await archive.run(['backup-list', '--pretty']);

  step('6. Restore to the moment before the mistake');
  const directory = join(scratch, 'restored');
  await archive.run([
    ...['backup-fetch', '--recovery-conf', '--target-time', moment],
    ...[directory, 'LATEST'],
  ]);
  command(`pg_ctl -D ${directory} start`);
  const restored = await openCluster(directory, { settings: { archive_mode: 'off' } });
  servers.push(restored);
  await restored.start();
  await until('recovery to reach its target', restored, 'select pg_is_wal_replay_paused()', signal);

  step('7. Is it what it was?');
  const found = await restored.value(FINGERPRINT);
  result(`Then: ${fingerprint}`);
  result(`Now:  ${found}`);
  if (found !== fingerprint) throw new Error('the restored data is not what it was');
  command('psql -c "select pg_wal_replay_resume()"');
  await restored.query('select pg_wal_replay_resume()');
  await until('the end of recovery', restored, 'select not pg_is_in_recovery()', signal);
  await restored.query('insert into transfer (amount) values (1)');
  result('The same to the last row, and the server takes writes again.');
}

async function until(what: string, server: Cluster, sql: string, signal: AbortSignal): Promise<void> {
  await poll(what, async () => {
    signal.throwIfAborted();
    return (await server.value(sql)) === 't';
  });
}

await main(watchInterruption()).then(
  () => process.exit(0),
  (error: unknown) => {
    if (error instanceof Interruption) process.exit(error.status);
    process.stderr.write(`\nThe demonstration failed: ${inspect(error)}\n`);
    process.exit(1);
  },
);
