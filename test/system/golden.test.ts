/** Archives that the original made, restored by this program with a real PostgreSQL 14: its data is what the original's own restore gave. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { poll } from '../harness/poll.ts';
import { type Cluster, openCluster } from '../harness/postgres.ts';
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
