/**
 * The main job from end to end, on a PostgreSQL of its own: archive, back up under load, lose everything, restore to a
 * point in time, compare. Run by `npm run demo`; on the S3 store of the environment when WALE_S3_PREFIX is set there,
 * else in files. Leaves nothing behind.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { serverAccount } from '../test/harness/account.ts';
import { poll } from '../test/harness/poll.ts';
import { type Cluster, createCluster, openCluster } from '../test/harness/postgres.ts';
import { createScratch } from '../test/harness/scratch.ts';
import { stageProgram } from '../test/harness/staging.ts';
import { createAccounts, startWriting } from '../test/harness/write-load.ts';
import { type Archive, demoArchive } from './archive.ts';
import { command, note, result, step } from './narrator.ts';

const WRITE_MS = 4000;
/** Everything that the clients wrote, as one value: it changes with any row. */
const FINGERPRINT = `select (select count(*) from transfer) || ' transfers, '
  || (select md5(string_agg(id || ':' || balance, ',' order by id)) from account)`;

async function main(): Promise<void> {
  const started = performance.now();
  const account = serverAccount();
  const scratch = createScratch(account);
  const archive = demoArchive(scratch, account, process.env);
  const servers: Cluster[] = [];
  try {
    await demonstrate(archive, scratch, servers);
    note(`All of it took ${Math.round((performance.now() - started) / 1000)} s.`);
  } finally {
    step('Cleaning up');
    for (const server of servers) await server.dispose();
    await archive.remove();
    rmSync(scratch, { recursive: true, force: true });
    result('Servers, archive and temporary files are gone.');
  }
}

async function demonstrate(archive: Archive, scratch: string, servers: Cluster[]): Promise<void> {
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
  await source.start();
  result(await source.value('select version()'));

  step('2. Two clients move money between 1000 accounts; a base backup is taken meanwhile');
  await createAccounts(source);
  const load = startWriting(source);
  await archive.run(['backup-push', '--fast-checkpoint', source.dataDirectory], source);
  await new Promise((resolve) => setTimeout(resolve, WRITE_MS));
  await load.stop();

  step('3. The moment that we want back');
  const fingerprint = await source.value(FINGERPRINT);
  const moment = await source.value(
    "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'",
  );
  result(`At ${moment}: ${fingerprint}`);

  step('4. More writes, a mistake, and then the disk is lost');
  const later = startWriting(source);
  await new Promise((resolve) => setTimeout(resolve, WRITE_MS / 4));
  await later.stop();
  command('psql -c "delete from account"');
  await source.query('delete from account');
  const segment = await source.value('select pg_walfile_name(pg_switch_wal())');
  await poll(
    `${segment} to be archived`,
    async () =>
      (await source.value(`select coalesce(last_archived_wal, '') >= '${segment}' from pg_stat_archiver`)) ===
      't',
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
  await poll(
    'recovery to reach its target',
    async () => (await restored.value('select pg_is_wal_replay_paused()')) === 't',
  );

  step('7. Is it what it was?');
  const found = await restored.value(FINGERPRINT);
  result(`Then: ${fingerprint}`);
  result(`Now:  ${found}`);
  if (found !== fingerprint) throw new Error('the restored data is not what it was');
  command('psql -c "select pg_wal_replay_resume()"');
  await restored.query('select pg_wal_replay_resume()');
  await poll('the end of recovery', async () => (await restored.value('select pg_is_in_recovery()')) === 'f');
  await restored.query('insert into transfer (amount) values (1)');
  result('The same to the last row, and the server takes writes again.');
}

await main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(
      `\nThe demonstration failed: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exit(1);
  },
);
