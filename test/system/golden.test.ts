/** Archives that the original made, restored by this program with a real PostgreSQL 14: its data is what the original's own restore gave. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { hasLzop } from '../harness/lzop.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, createCluster, openCluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { stageProgram } from '../harness/staging.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/golden', import.meta.url));

interface Expected {
  readonly queries: Readonly<Record<string, string>>;
  readonly expected: Readonly<Record<string, { readonly tables: Readonly<Record<string, Table>> }>>;
}
interface Table {
  readonly rows: number;
  readonly md5: string;
}

let cluster: Cluster | undefined;
let keyring: Keyring | undefined;

afterEach(async () => {
  await cluster?.dispose();
  keyring?.dispose();
  cluster = undefined;
  keyring = undefined;
});

describe.each([
  ['seg1', 'latest'],
  ['gpg', 'latest'],
  ['gpg', 'current'],
])('golden archive %s, timeline %s', (name, timeline) => {
  test.runIf(name !== 'gpg' || hasGpg())('[arc-8] restores to the data that its README lists', async () => {
    const source = join(fixtures, name);
    const facts: Expected = JSON.parse(readFileSync(join(source, 'expected.json'), 'utf8'));
    const folder = createScratch(serverAccount());
    const environment = prepare(folder, source, name);
    const data = join(folder, 'data');
    const relocate = ['--tablespace', `16384=${join(folder, 'ts_one')}`];
    const fetched = await runProgram(['backup-fetch', ...relocate, data, 'LATEST'], { environment });
    expect(fetched.status, fetched.stderr).toBe(0);
    cluster = await openCluster(data, { settings: { ...SETTINGS, ...recovery(folder, timeline) } });
    writeFileSync(join(data, 'recovery.signal'), '');
    await cluster.start({ environment });
    const server = cluster;
    await poll('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
    expect(await tables(server, facts)).toEqual(
      facts.expected[`recovery_target_timeline=${timeline}`]?.tables,
    );
    expect(await server.value('SELECT pg_tablespace_location(16384)')).toBe(join(folder, 'ts_one'));
  });
});

/**
 * The golden archives have segments of 1 MB. This one has 16 MB, and is made of the very programs that the original
 * starts: lzop and gpg as archive_command and behind tar, around an exclusive backup, with its keys and its sentinel.
 */
describe.runIf(hasLzop && hasGpg()).each([false, true])('segments of 16 MB, encrypted: %s', (isEncrypted) => {
  test('what lzop, gpg and tar wrote as the original has them do is restored to the end', async () => {
    const folder = createScratch(serverAccount());
    keyring = createKeyring('secret');
    const environment = give(folder, {
      WALE_FILE_PREFIX: `file://localhost${folder}/archive`,
      GNUPGHOME: keyring.home,
    });
    const encrypt = isEncrypted ? `| gpg --batch -q --trust-model always -e -z 0 -r ${GOLDEN_KEY}` : '';
    mkdirSync(join(folder, 'archive/wal_005'), { recursive: true });
    give(folder, {});
    give(keyring.home, {});
    const archiveCommand = `lzop -c <%p ${encrypt} >${folder}/archive/wal_005/%f.lzo`;
    const source = await createCluster({
      version: 14,
      settings: { archive_mode: 'on', archive_command: archiveCommand },
    });
    const data = join(folder, 'data');
    let part = '';
    try {
      await source.start({ environment });
      await source.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n');
      const [row] = await source.query("SELECT * FROM pg_walfile_name_offset(pg_start_backup('x', true))");
      const name = `base_${row?.file_name}_${(row?.file_offset ?? '').padStart(8, '0')}`;
      const backup = join(folder, 'archive/basebackups_005', name);
      mkdirSync(join(backup, 'tar_partitions'), { recursive: true });
      writeFileSync(join(backup, 'extended_version.txt'), await source.value('SELECT version()'));
      const leave = ['pg_wal/*', 'postmaster.*', 'postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'];
      const excludes = leave.map((pattern) => `--exclude='./${pattern}'`).join(' ');
      part = join(backup, 'tar_partitions/part_00000000.tar.lzo');
      execFileSync(
        'sh',
        [
          '-c',
          `tar --format=pax ${excludes} -C "$0" -cf - . | lzop -c ${encrypt} >"$1"`,
          source.dataDirectory,
          part,
        ],
        {
          env: { ...process.env, ...environment },
          stdio: ['ignore', 'ignore', 'ignore'],
        },
      );
      const [end] = await source.query('SELECT * FROM pg_walfile_name_offset(pg_stop_backup())');
      writeFileSync(
        `${backup}_backup_stop_sentinel.json`,
        `{"wal_segment_backup_stop": "${end?.file_name}", "wal_segment_offset_backup_stop": "${(end?.file_offset ?? '').padStart(8, '0')}", "expanded_size_bytes": 30000000, "spec": {"base_prefix": "${source.dataDirectory}/", "tablespaces": []}}`,
      );
      await source.query('INSERT INTO t SELECT generate_series(1001, 1500)');
      await source.query('SELECT pg_switch_wal()');
      await source.stop('fast');
    } finally {
      await source.dispose();
    }
    expect(readFileSync(part).subarray(0, 4).toString('latin1') === '\x89LZO').toBe(!isEncrypted);
    give(join(folder, 'archive'), {});
    const fetched = await runProgram(['backup-fetch', data, 'LATEST'], { environment });
    expect(fetched.status, fetched.stderr).toBe(0);
    cluster = await openCluster(data, {
      settings: { archive_mode: 'off', ...recovery(folder, 'latest') },
    });
    writeFileSync(join(data, 'recovery.signal'), '');
    await cluster.start({ environment });
    const server = cluster;
    await poll('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
    expect(await server.value('SELECT count(*) FROM t')).toBe('1500');
    expect(await server.value('SHOW wal_segment_size')).toBe('16MB');
  });
});

const SETTINGS = { wal_level: 'replica', min_wal_size: '2MB', max_wal_size: '16MB', archive_mode: 'off' };

function prepare(folder: string, source: string, name: string): Record<string, string> {
  cpSync(join(source, 'archive'), join(folder, 'archive'), { recursive: true });
  mkdirSync(join(folder, 'ts_one'), { mode: 0o700 });
  const environment = { WALE_FILE_PREFIX: `file://localhost${folder}/archive` };
  if (name !== 'gpg') return give(folder, environment);
  keyring = createKeyring('secret');
  give(keyring.home, {});
  return give(folder, { ...environment, GNUPGHOME: keyring.home, WALE_GPG_KEY_ID: GOLDEN_KEY });
}

/** The server and its restore_command run as its user. */
function give(path: string, environment: Record<string, string>): Record<string, string> {
  const { uid, gid } = serverAccount();
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${uid}:${gid}`, path]);
  return environment;
}

function recovery(folder: string, timeline: string): Record<string, string> {
  const command = `${stageProgram()} --file-prefix file://localhost${folder}/archive wal-fetch %f %p`;
  return { restore_command: command, recovery_target_timeline: timeline };
}

async function tables(server: Cluster, { queries }: Expected): Promise<Record<string, Table>> {
  const found: Record<string, Table> = {};
  for (const [name, sql] of Object.entries(queries)) {
    const [row] = await server.query(sql);
    found[name] = { rows: Number(row?.count), md5: row?.md5 ?? '' };
  }
  return found;
}
