/** Servers whose archive_command and restore_command are the built program, with a file store. */
import { chownSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { walKey } from '../../src/archive/layout.ts';
import { decodeLzop } from '../../src/codec/decoder.ts';
import { createFileStore } from '../../src/store/file.ts';
import { serverAccount } from './account.ts';
import { poll } from './poll.ts';
import { type Cluster, createCluster, openCluster } from './postgres.ts';
import { createScratch } from './scratch.ts';
import { stageProgram } from './staging.ts';

/** The tests read standard error in the server's log; they must not write to the machine's own. */
export const LOG_TO_SERVER = { WALE_LOG_DESTINATION: 'stderr' };

export interface Archive {
  /** Where the objects are. */
  readonly directory: string;
  readonly prefix: string;
  /** A command line for archive_command or restore_command: `words` behind program and prefix. */
  command(words: string): string;
  names(): Promise<string[]>;
  /** The plain content of a WAL file; throws when the object is damaged or not there. */
  content(name: string): Promise<Buffer>;
}

export function createArchive(): Archive {
  const directory = join(createScratch(serverAccount()), 'archive');
  mkdirSync(directory);
  if (process.getuid?.() === 0) chownSync(directory, serverAccount().uid, serverAccount().gid);
  const prefix = `file://localhost${directory}`;
  const store = createFileStore(directory);
  const signal = new AbortController().signal;
  return {
    directory,
    prefix,
    command: (words) => `${stageProgram()} --file-prefix=${prefix} ${words}`,
    async names() {
      const names = [];
      for await (const page of store.list('wal_005/', { signal })) {
        for (const { key } of page) names.push(key.slice('wal_005/'.length, -'.lzo'.length));
      }
      return names;
    },
    async content(name) {
      const object = await store.get(walKey(name), { signal });
      if (object === undefined) throw new Error(`${name} is not in the archive`);
      const chunks = [];
      for await (const chunk of decodeLzop(object.body)) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  };
}

export interface PrimaryOptions {
  readonly version: number;
  readonly archive: Pick<Archive, 'command'>;
  readonly segmentMb?: number;
  readonly sameSystem?: boolean;
  /** Words of archive_command behind the prefix; `wal-push %p` when left out. */
  readonly pushWords?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

/** A server that archives through the program; not started. */
export function createPrimary(options: PrimaryOptions): Promise<Cluster> {
  return createCluster({
    version: options.version,
    segmentMb: options.segmentMb,
    sameSystem: options.sameSystem,
    settings: {
      wal_level: 'replica',
      archive_mode: 'on',
      archive_command: options.archive.command(options.pushWords ?? 'wal-push %p'),
      ...options.settings,
    },
  });
}

/** A standby of a stopped server, which follows only what `restoreCommand` brings; not started. */
export async function copyAsStandby(
  primary: Cluster,
  restoreCommand: string,
  settings: Readonly<Record<string, string>>,
): Promise<Cluster> {
  const copy = join(createScratch(primary.account), 'data');
  cpSync(primary.dataDirectory, copy, { recursive: true });
  return recover(copy, primary.version, restoreCommand, { ...settings, hot_standby: 'on' }, 'standby');
}

/** Opens a data directory so that it recovers from the archive, as a standby or to the archive's end. */
export async function recover(
  dataDirectory: string,
  version: number,
  restoreCommand: string,
  settings: Readonly<Record<string, string>>,
  mode: 'standby' | 'recovery',
): Promise<Cluster> {
  const own = { recovery_target_timeline: 'latest', restore_command: restoreCommand };
  if (version >= 12) {
    writeFileSync(join(dataDirectory, `${mode}.signal`), '');
    return openCluster(dataDirectory, { settings: { ...settings, ...own } });
  }
  const lines = { ...own, standby_mode: mode === 'standby' ? 'on' : 'off' };
  const text = Object.entries(lines).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  writeFileSync(join(dataDirectory, 'recovery.conf'), text.join(''));
  return openCluster(dataDirectory, { settings });
}

/** Ends the segment that is being written; returns its name. Writes something first, or PostgreSQL does nothing. */
export async function switchSegment(cluster: Cluster): Promise<string> {
  await cluster.query(
    'CREATE TABLE IF NOT EXISTS switches (at timestamptz); INSERT INTO switches VALUES (now())',
  );
  return cluster.value('SELECT pg_walfile_name(pg_switch_wal())');
}

/**
 * Until the server's own books say that this file, which it has ended, is archived. Its statistics do not tell: they
 * leave out what wal-push archived beside the segment it was asked for. A checkpoint may remove the books of a segment
 * right after.
 */
export async function untilArchived(cluster: Cluster, name: string): Promise<void> {
  const waits = join(cluster.walDirectory, 'archive_status', `${name}.ready`);
  try {
    await poll(`${name} to be archived`, () => !existsSync(waits));
  } catch (error) {
    throw new Error(`${error}\n${await cluster.serverLog()}`);
  }
}

/** Work like pgbench's, seeded: inserts and updates that give about `megabytes` of WAL. */
export async function load(cluster: Cluster, seed: number, megabytes: number): Promise<void> {
  await cluster.query(`
    CREATE TABLE IF NOT EXISTS accounts (id int, balance bigint, filler text, round int);
    SELECT setseed(${(seed % 1000) / 1000});
    INSERT INTO accounts
      SELECT id, (random() * 1e9)::bigint, repeat(md5(random()::text), 3), ${seed}
      FROM generate_series(1, ${Math.ceil(megabytes * 3500)}) AS id;
    UPDATE accounts SET balance = balance + 1
      WHERE id % 3 = ${seed % 3} AND (round = ${seed} OR id < 10);
  `);
}

/** The same on two servers means that they hold the same rows. */
export function fingerprint(cluster: Cluster): Promise<string> {
  return cluster.value(
    "SELECT count(*) || ' ' || coalesce(sum(balance), 0) || ' ' || md5(string_agg(md5(filler), '' ORDER BY id, balance)) FROM accounts",
  );
}
