/** A throwaway server that archives with the built program, and what is needed to bring it back without that program. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createReadStream, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { parseSentinel, type Sentinel } from '../../src/archive/sentinel.ts';
import { decodeLzop } from '../../src/codec/decoder.ts';
import { poll } from './poll.ts';
import { type Cluster, type ClusterOptions, createCluster, openCluster } from './postgres.ts';
import { createScratch } from './scratch.ts';
import { stageProgram } from './staging.ts';

const run = promisify(execFile);

export interface ArchivedCluster {
  readonly cluster: Cluster;
  /** The folder of the storage prefix. */
  readonly archive: string;
  /** For the program: the prefix, and how to reach the server. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Not started yet; of the same system as others of its kind in this process. */
export async function createArchivedCluster(options: ClusterOptions = {}): Promise<ArchivedCluster> {
  const archive = join(createScratch(), 'archive');
  mkdirSync(archive);
  chmodSync(archive, 0o777);
  const prefix = { WALE_FILE_PREFIX: `file://localhost${archive}` };
  const command = `env WALE_FILE_PREFIX='${prefix.WALE_FILE_PREFIX}' WALE_LOG_DESTINATION=stderr '${stageProgram()}' --terse wal-push -p 8 %p`;
  const cluster = await createCluster({
    sameSystem: true,
    ...options,
    settings: {
      wal_level: 'replica',
      archive_mode: 'on',
      archive_command: command,
      max_wal_senders: '2',
      ...options.settings,
    },
  });
  return { cluster, archive, environment: { ...prefix, ...cluster.environment } };
}

/** Those that are complete. */
export function backupNames(archive: string): string[] {
  const suffix = '_backup_stop_sentinel.json';
  const folder = join(archive, 'basebackups_005');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .sort();
}

export async function readSentinel(archive: string, name: string): Promise<Sentinel> {
  return parseSentinel(
    await readFile(join(archive, 'basebackups_005', `${name}_backup_stop_sentinel.json`), 'utf8'),
  );
}

/** The parts as they are in the store, with what their sentinel says of each. */
export async function storedParts(archive: string, name: string) {
  const { own } = await readSentinel(archive, name);
  return Promise.all(
    (own?.parts ?? []).map(async (fact) => {
      const file = `part_${String(fact.number).padStart(8, '0')}.tar.lzo`;
      const bytes = await readFile(join(archive, 'basebackups_005', name, 'tar_partitions', file));
      return { fact, bytes, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

/** `tar -t` of every part, as byte strings (latin1); folders end with a slash. */
export async function memberNames(archive: string, name: string): Promise<string[]> {
  const names: string[] = [];
  for (const part of storedPaths(archive, name)) {
    const listed = await tar(['--quoting-style=literal', '-tf', '-'], part);
    names.push(...listed.toString('latin1').split('\n').filter(Boolean));
  }
  return names;
}

/** Unpacks a backup with GNU tar: links for `tablespaces` (oid -> folder) first, then the parts in any order. */
export async function unpackBackup(
  archive: string,
  name: string,
  tablespaces: Readonly<Record<string, string>> = {},
): Promise<string> {
  const target = join(createScratch(), 'data');
  mkdirSync(join(target, 'pg_tblspc'), { recursive: true, mode: 0o700 });
  for (const [oid, location] of Object.entries(tablespaces)) {
    mkdirSync(location, { recursive: true });
    await run('ln', ['-s', location, join(target, 'pg_tblspc', oid)]);
  }
  for (const part of storedPaths(archive, name).reverse())
    await tar(['--keep-directory-symlink', '-xf', '-', '-C', target], part);
  return target;
}

function storedPaths(archive: string, name: string): string[] {
  const folder = join(archive, 'basebackups_005', name, 'tar_partitions');
  const names = readdirSync(folder).sort();
  return names.map((part) => join(folder, part));
}

/** What a writer meets when tar has found the end of the archive and does not read the zeros behind it. */
const READ_ENOUGH = new Set(['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

/** GNU tar on a stored part; gives its output. */
async function tar(words: readonly string[], part: string): Promise<Buffer> {
  const child = spawn('tar', words, { stdio: 'pipe' });
  const ended = once(child, 'close');
  const fed = pipeline(decodeLzop(createReadStream(part)), child.stdin);
  const [output, said] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    fed.catch((error: NodeJS.ErrnoException) => {
      if (!READ_ENOUGH.has(error.code ?? '')) throw error;
    }),
  ]);
  const [status]: unknown[] = await ended;
  if (status !== 0) throw new Error(`tar ${words.join(' ')} ended with ${status}: ${part}\n${said}`);
  return output;
}

/** Starts a server on an unpacked backup, which recovers to the end of the archive and is then ready for questions. */
export async function recover(
  dataDirectory: string,
  archive: string,
  settings: Record<string, string> = {},
): Promise<Cluster> {
  const wal = await plainWal(archive);
  const version = Number((await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim());
  const restore = { restore_command: `cp ${wal}/%f %p`, recovery_target_timeline: 'latest' };
  if (version >= 12) writeFileSync(join(dataDirectory, 'recovery.signal'), '');
  else writeFileSync(join(dataDirectory, 'recovery.conf'), recoveryConf(restore));
  const cluster = await openCluster(dataDirectory, {
    settings: { archive_mode: 'off', ...(version >= 12 && restore), ...settings },
  });
  await cluster.start();
  await poll('the end of recovery', async () => (await cluster.value('select pg_is_in_recovery()')) === 'f');
  return cluster;
}

function recoveryConf(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');
}

async function plainWal(archive: string): Promise<string> {
  const folder = createScratch();
  for (const name of readdirSync(join(archive, 'wal_005'))) {
    if (!name.endsWith('.lzo')) continue;
    const source = createReadStream(join(archive, 'wal_005', name));
    await writeFile(join(folder, name.slice(0, -4)), Readable.from(decodeLzop(source)), { mode: 0o644 });
  }
  return folder;
}
