/** Backups of real servers, restored by the built program and started. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createFileStore } from '../../../src/store/file.ts';
import { serverAccount } from '../../harness/account.ts';
import { backupNames, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { leastMembers, storeBackup } from '../../harness/backup.ts';
import { canMount, mountSmall } from '../../harness/mount.ts';
import { poll } from '../../harness/poll.ts';
import { type Cluster, openCluster } from '../../harness/postgres.ts';
import { logEntries, runProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';
import { expectSound } from '../../harness/sound-cluster.ts';
import { stageProgram } from '../../harness/staging.ts';
import { TESTED_VERSIONS } from '../../harness/versions.ts';
import { layOutAsWalG } from '../../harness/wal-g-layout.ts';
import { checkAccounts, createAccounts, startWriting } from '../../harness/write-load.ts';

const KILLING = fileURLToPath(new URL('../../harness/killing-fs.cjs', import.meta.url));

const clusters: Cluster[] = [];
const scratches: string[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const folder of scratches.splice(0))
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

function scratch(): string {
  const folder = createScratch();
  scratches.push(folder);
  return folder;
}

type Archived = Awaited<ReturnType<typeof createArchivedCluster>>;

async function archived(options: Parameters<typeof createArchivedCluster>[0]): Promise<Archived> {
  const made = await createArchivedCluster(options);
  clusters.push(made.cluster);
  await made.cluster.start();
  return made;
}

async function push(
  { cluster, environment }: Archived,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const args = ['backup-push', '--fast-checkpoint', cluster.dataDirectory];
  const { status, stderr } = await runProgram(args, { environment: { ...environment, ...more } });
  expect(stderr).not.toMatch(/ ERROR | CRITICAL /);
  expect(status).toBe(0);
  return stderr;
}

/** Runs backup-fetch with --recovery-conf; gives the directory. */
async function fetch(
  { environment }: Pick<Archived, 'environment'>,
  args: readonly string[],
  backup = 'LATEST',
): Promise<string> {
  const directory = join(scratch(), 'data');
  const prefix = { WALE_FILE_PREFIX: environment.WALE_FILE_PREFIX ?? '' };
  const words = ['backup-fetch', '-p', '2', '--recovery-conf', ...args, directory, backup];
  const { status, stderr } = await runProgram(words, { environment: prefix });
  expect(stderr).not.toMatch(/ ERROR | CRITICAL /);
  expect(status).toBe(0);
  return directory;
}

/** Starts a restored server; it archives nothing unless told to. */
async function start(directory: string, settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
  const readable = await useStagedProgram(directory);
  const cluster = await openCluster(directory, {
    settings: { archive_mode: 'off', hot_standby: 'on', ...readable, ...settings },
  });
  clusters.push(cluster);
  await cluster.start();
  return cluster;
}

/**
 * The server's user may not be able to read this checkout, which restore_command names: on servers that take the
 * setting from a file that a test may write, the copy of the program that everybody can read stands in.
 */
async function useStagedProgram(directory: string): Promise<Readonly<Record<string, string>>> {
  const conf = existsSync(join(directory, 'recovery.conf')) ? 'recovery.conf' : 'postgresql.auto.conf';
  const path = join(directory, conf);
  const text = await readFile(path, 'utf8');
  const command = /restore_command = '(.*)'/.exec(text)?.[1] ?? '';
  expect(command).toMatch(/ --file-prefix=\S+ wal-fetch "%f" "%p"$/);
  const staged = command.replace(/^\S+ \S+/, stageProgram());
  const { writeFile } = await import('node:fs/promises');
  await writeFile(path, text.replace(command, staged));
  await chmod(path, 0o600);
  return {};
}

async function recovered(cluster: Cluster): Promise<void> {
  await poll('the end of recovery', async () => (await cluster.value('select pg_is_in_recovery()')) === 'f');
}

/** With a target and hot_standby on, the server pauses there: what it shows is the state at the target. */
async function paused(cluster: Cluster): Promise<void> {
  await poll(
    'recovery to pause',
    async () => (await cluster.value('select pg_is_wal_replay_paused()')) === 't',
  );
}

async function count(cluster: Cluster, table: string): Promise<number> {
  return Number(await cluster.value(`select count(*) from ${table}`));
}

async function archiveAll({ cluster, archive }: Archived): Promise<void> {
  const segment = await cluster.value('select pg_walfile_name(pg_switch_wal())');
  await poll(`${segment} to be archived`, () => existsSync(join(archive, 'wal_005', `${segment}.lzo`)));
}

/** Every page of every file, by its checksum: what a backup of the stopped server would find. */
async function expectPagesSound({ cluster }: Pick<Archived, 'cluster'>): Promise<void> {
  expect(await cluster.value('show data_checksums')).toBe('on');
  await cluster.stop();
  const environment = { WALE_FILE_PREFIX: `file://localhost${join(scratch(), 'checked')}` };
  const words = ['backup-push', '--while-offline', '--no-wal-check', cluster.dataDirectory];
  const { status, stderr } = await runProgram(words, { environment });
  expect({ status, stderr }).toMatchObject({ status: 0 });
}

describe.each(TESTED_VERSIONS)('PostgreSQL %i', (version) => {
  it('recovers from one archive to the end, to a time, to an LSN and to a restore point', async () => {
    const source = await archived({
      version,
      initdbArguments: ['-k'],
      tablespaces: ['one'],
      settings: { archive_timeout: '0' },
    });
    const { cluster } = source;
    await createAccounts(cluster);
    await cluster.query(
      'create table elsewhere tablespace one as select g, md5(g::text) m from generate_series(1, 5000) g',
    );
    await cluster.query('create table event (id int, at timestamptz default clock_timestamp())');
    const load = startWriting(cluster);
    await push(source);
    await load.stop();
    const name = backupNames(source.archive)[0] ?? '';

    await cluster.query('insert into event values (1)');
    const time = await cluster.value(
      "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'",
    );
    await cluster.query('insert into event values (2)');
    const lsn = await cluster.value('select pg_current_wal_insert_lsn()');
    await cluster.query('insert into event values (3)');
    await cluster.query("select pg_create_restore_point('before four')");
    await cluster.query('insert into event values (4)');
    const transfers = await checkAccounts(cluster);
    await archiveAll(source);
    // Too new for all targets: LATEST must be the one before.
    await push(source);
    const oid = await cluster.value("select oid from pg_tablespace where spcname = 'one'");
    await cluster.stop('immediate');
    // Whoever still looks at the source's tablespace fails.
    renameSync(cluster.tablespaceDirectory('one'), `${cluster.tablespaceDirectory('one')}.gone`);

    const place = () => ['--tablespace', `${oid}=${join(scratch(), 'one')}`];
    const end = await start(await fetch(source, place()));
    await recovered(end);
    expect(await count(end, 'event')).toBe(4);
    expect(await checkAccounts(end)).toBe(transfers);
    expect(await count(end, 'elsewhere')).toBe(5000);
    await expectSound(end);
    expect(await end.value(`select pg_tablespace_location(${oid})`)).toMatch(/\/one$/);
    await expectPagesSound({ cluster: end });
    await end.dispose();

    const targets = [
      [['--target-time', time], 'LATEST', 1],
      [['--target-lsn', lsn], 'LATEST', 2],
      [['--target-name', 'before four'], 'LATEST', 3],
      [['--target-name', 'before four'], name, 3],
    ] as const;
    for (const [target, backup, events] of targets) {
      const restored = await start(await fetch(source, [...target, ...place()], backup));
      await paused(restored);
      expect(await count(restored, 'event'), target.join(' ')).toBe(events);
      await restored.dispose();
    }
  });

  it('builds a standby from the archive alone, which is promoted, archives, and is restored from before and after', async () => {
    const source = await archived({ version });
    const { cluster, environment, archive } = source;
    await createAccounts(cluster);
    await cluster.query('create table event (id int)');
    await push(source);
    const before = backupNames(archive)[0] ?? '';
    await cluster.query('insert into event values (1)');
    await archiveAll(source);

    const standby = await start(await fetch(source, ['--standby']), {
      archive_mode: 'on',
      archive_command: await cluster.value('show archive_command'),
      wal_level: 'replica',
    });
    await poll('the standby to follow', async () => (await count(standby, 'event')) === 1);
    await cluster.query('insert into event values (2)');
    await archiveAll(source);
    await poll('the standby to follow', async () => (await count(standby, 'event')) === 2);
    await cluster.stop('immediate');
    await promote(standby);
    await recovered(standby);
    await standby.query('insert into event values (30), (31)');
    const promoted: Archived = {
      cluster: standby,
      archive,
      environment: { ...environment, ...standby.environment },
    };
    await archiveAll(promoted);
    await push(promoted);
    await standby.query('insert into event values (32)');
    await archiveAll(promoted);
    await standby.stop();

    const old = await start(await fetch(source, [], before));
    await recovered(old);
    expect(await count(old, 'event'), 'from before the promotion, to the end').toBe(5);
    await old.dispose();

    const first = await start(await fetch(source, ['--target-timeline', '1'], before));
    await recovered(first);
    expect(await count(first, 'event'), 'along the first timeline').toBe(2);
    await first.dispose();

    const latest = await start(await fetch(source, []));
    await recovered(latest);
    expect(await count(latest, 'event'), 'from after the promotion').toBe(5);
    await expectSound(latest);
  });
});

function filesIn(directory: string): number {
  if (!existsSync(directory)) return 0;
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length;
}

async function promote(cluster: Cluster): Promise<void> {
  if (cluster.version >= 12) {
    await cluster.query('select pg_promote()');
    return;
  }
  const { writeFileSync } = await import('node:fs');
  writeFileSync(join(cluster.dataDirectory, 'promote'), '');
  process.kill(cluster.pid(), 'SIGUSR1');
}

describe("an archive of the original's", () => {
  const golden = new URL('../../../fixtures/golden/seg1/', import.meta.url).pathname;
  it.each([
    ['latest', 'recovery_target_timeline=latest', () => ['--tablespace', `16384=${join(scratch(), 'one')}`]],
    ['current', 'recovery_target_timeline=current', () => ['--blind-restore']],
  ] as const)('is restored with what its README lists (timeline %s)', async (timeline, key, place) => {
    const expected = JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8'));
    const archive = join(scratch(), 'archive');
    await promisedCopy(join(golden, 'archive'), archive);
    const environment = { WALE_FILE_PREFIX: `file://localhost${archive}` };
    const directory = await fetch({ environment }, [...['--target-timeline', timeline], ...place()]);
    const restored = await start(directory, { max_wal_size: '16MB', min_wal_size: '2MB' });
    await recovered(restored);
    for (const [table, sql] of Object.entries<string>(expected.queries)) {
      const [row] = await restored.query(sql);
      const [, rows, md5] = Object.values(row ?? {});
      expect({ rows: Number(rows), md5 }, table).toEqual(expected.expected[key].tables[table]);
    }
  });
});

async function promisedCopy(from: string, to: string): Promise<void> {
  const { cp } = await import('node:fs/promises');
  await cp(from, to, { recursive: true });
  execFileSync('chmod', ['-R', 'a+rX', to]);
}

describe("a backup in the layout of WAL-G's tars", () => {
  it('is listed, restored and started; without its first or its last part it is refused', async () => {
    const source = await archived({});
    await createAccounts(source.cluster);
    await push(source);
    const transfers = await checkAccounts(source.cluster);
    await archiveAll(source);
    await source.cluster.stop();
    const [name = ''] = backupNames(source.archive);
    expect(await layOutAsWalG(source.archive, name)).toEqual([
      'backup_label.tar.lzo',
      'part_001.tar.lzo',
      'part_002.tar.lzo',
      'pg_control.tar.lzo',
    ]);
    const environment = { WALE_FILE_PREFIX: source.environment.WALE_FILE_PREFIX ?? '' };
    const listed = await runProgram(['backup-list', '--detail'], { environment });
    expect(listed).toMatchObject({ status: 0, stdout: expect.stringContaining(name) });
    const restored = await start(await fetch(source, []));
    await recovered(restored);
    expect(await checkAccounts(restored)).toBe(transfers);

    const parts = join(source.archive, 'basebackups_005', name, 'tar_partitions');
    for (const [part, text] of [
      ['part_001.tar.lzo', 'part 1 is missing'],
      ['pg_control.tar.lzo', 'pg_control.tar.lzo is missing'],
      ['backup_label.tar.lzo', 'no backup_label'],
    ] as const) {
      renameSync(join(parts, part), join(source.archive, part));
      const refused = await runProgram(['backup-fetch', join(scratch(), 'data'), name], { environment });
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(text) });
      renameSync(join(source.archive, part), join(parts, part));
    }
  });
});

describe('a restore that is killed', () => {
  it('cannot be started, says so, and is gone on with by the same command', async () => {
    const source = await archived({});
    await createAccounts(source.cluster);
    await source.cluster.query(
      'create table big as select g, repeat(md5(g::text), 20) filler from generate_series(1, 150000) g',
    );
    await push(source);
    await source.cluster.stop();
    const directory = join(scratch(), 'data');
    const environment = {
      WALE_FILE_PREFIX: source.environment.WALE_FILE_PREFIX ?? '',
      WALE_LOG_DESTINATION: 'stderr',
    };
    // Each run is killed some files later than the one before, which it goes on with.
    for (let files = 50; files <= 650; files += 200) {
      const killing = { NODE_OPTIONS: `--require ${KILLING}`, KILL_CALL: 'openSync', KILL_AT: String(files) };
      const words = ['backup-fetch', '-p', '1', directory, 'LATEST'];
      const killed = await runProgram(words, { environment: { ...environment, ...killing } });
      expect(killed.status, killed.stderr).toBe(null);
      expect(filesIn(directory)).toBeGreaterThan(files / 2);
      expect(existsSync(join(directory, 'wal-e-restore-incomplete.json'))).toBe(true);
      expect(existsSync(join(directory, 'global/pg_control'))).toBe(false);
    }
    const again = await runProgram(['backup-fetch', '--recovery-conf', directory, 'LATEST'], { environment });
    expect(again.status).toBe(0);
    expect(logEntries(again.stderr).at(-1)?.message).toBe('completed the restore');
    const restored = await start(directory);
    await recovered(restored);
    expect(await count(restored, 'big')).toBe(150_000);
    expect(readdirSync(directory)).not.toContain('wal-e-restore-incomplete.json');
  });
});

describe.runIf(process.getuid?.() === 0)('a target that the user may not use', () => {
  it('is refused in words, with what to do', async () => {
    const { uid } = serverAccount();
    const folder = scratch();
    const store = createFileStore(join(folder, 'archive'));
    await storeBackup(store, { parts: [leastMembers()] });
    execFileSync('chmod', ['-R', 'a+rX', folder]);
    mkdirSync(join(folder, 'private'), { mode: 0o700 });
    mkdirSync(join(folder, 'closed'), { mode: 0 });
    execFileSync('chown', [String(uid), join(folder, 'closed')]);
    const environment = { WALE_FILE_PREFIX: `file://localhost${join(folder, 'archive')}` };
    for (const [target, message, detail] of [
      ['data', 'could not write to the target of the restore', /^EACCES: /],
      ['private', 'the target of the restore belongs to another user', /private" belongs to user 0, /],
      ['private/data', 'could not look at the target of the restore', /^EACCES: /],
      ['closed', 'could not look at the target of the restore', /^EACCES: /],
    ] as const) {
      const words = ['backup-fetch', join(folder, target), 'LATEST'];
      const { status, stderr } = await runProgram(words, { environment, uid });
      expect(status, stderr).toBe(1);
      expect(logEntries(stderr).at(-1)).toMatchObject({
        level: 'ERROR',
        message,
        detail: expect.stringMatching(detail),
        hint: expect.stringMatching(/^Run the restore as the user who runs the server, or as root/),
      });
    }
  });
});

describe.runIf(process.getuid?.() === 0)('an unfinished restore whose marker the user may not read', () => {
  it.each(['of root', 'of his own, without rights'])(
    'is not gone on with, and nothing in it is changed: a marker %s',
    async (whose) => {
      const { uid, gid } = serverAccount();
      const folder = scratch();
      const archive = join(folder, 'archive');
      await storeBackup(createFileStore(archive), { parts: [leastMembers()] });
      execFileSync('chmod', ['-R', 'a+rX', folder]);
      const directory = join(folder, 'data');
      mkdirSync(directory, { mode: 0o700 });
      const marker = join(directory, 'wal-e-restore-incomplete.json');
      writeFileSync(marker, '{"note":"of another"}', { mode: whose === 'of root' ? 0o600 : 0 });
      for (const name of ['PG_VERSION', 'backup_label']) writeFileSync(join(directory, name), 'of another');
      execFileSync('chown', [`${uid}:${gid}`, directory, join(directory, 'PG_VERSION')]);
      if (whose !== 'of root') execFileSync('chown', [`${uid}:${gid}`, marker]);
      const look = () =>
        readdirSync(directory)
          .sort()
          .map((name) => {
            const { ino, mtimeMs, ctimeMs, mode } = statSync(join(directory, name));
            return { name, ino, mtimeMs, ctimeMs, mode, text: readFileSync(join(directory, name), 'utf8') };
          });
      const before = look();
      const environment = { WALE_FILE_PREFIX: `file://localhost${archive}` };
      for (const option of ['--recovery-conf', '--dry-run', '--force']) {
        const words = ['backup-fetch', option, directory, 'LATEST'];
        const { status, stderr } = await runProgram(words, { environment, uid });
        expect(status, stderr).toBe(1);
        expect(logEntries(stderr).at(-1)).toMatchObject({
          level: 'ERROR',
          message: 'could not read the marker file of the incomplete restore in the target',
          detail: expect.stringMatching(`^EACCES: .*'${marker}'`),
          hint: 'Run the restore as the user who runs the server, or as root.',
        });
        expect(look()).toEqual(before);
      }
    },
  );
});

describe('a disk that runs full', () => {
  it('fails the restore in words, and it is gone on with when there is room', async ({ skip }) => {
    if (!canMount()) skip('this machine does not let us mount a small file system');
    const source = await archived({});
    await source.cluster.query(
      'create table big as select g, repeat(md5(g::text), 20) filler from generate_series(1, 60000) g',
    );
    await push(source);
    await source.cluster.stop();
    const mount = join(createScratch(), 'small');
    mkdirSync(mount);
    mountSmall(mount, 40 * 2 ** 20);
    const environment = { WALE_FILE_PREFIX: source.environment.WALE_FILE_PREFIX ?? '' };
    const directory = join(mount, 'data');
    const refused = await runProgram(['backup-fetch', directory, 'LATEST'], { environment });
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('not enough free space') });
    expect(existsSync(directory)).toBe(false);
    const full = await runProgram(['backup-fetch', '--force', directory, 'LATEST'], { environment });
    expect(full.status).toBe(1);
    expect(logEntries(full.stderr).at(-1)).toMatchObject({
      level: 'ERROR',
      message: 'could not write a restored file',
      detail: expect.stringMatching(/part_\d+\.tar\.lzo: ENOSPC/),
    });
    expect(existsSync(join(directory, 'global/pg_control'))).toBe(false);
    const still = await runProgram(['backup-fetch', directory, 'LATEST'], { environment });
    expect(still).toMatchObject({ status: 1, stderr: expect.stringContaining('not enough free space') });
    execFileSync('mount', ['-o', 'remount,size=400m', mount]);
    const again = await runProgram(['backup-fetch', directory, 'LATEST'], { environment });
    expect(again.status).toBe(0);
    expect(existsSync(join(directory, 'global/pg_control'))).toBe(true);
  });
});
