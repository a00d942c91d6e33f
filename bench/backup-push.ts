/**
 * `wal-e backup-push` of a stopped cluster to a file store, beside `tar c | lzop > file`: the same files, both from the
 * page cache, both to the same file system. Ours starts Node, checks every page, hashes every part and syncs it to the
 * disk; tar and lzop do none of that.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOf, cluster2 } from './cluster.ts';
import { compare, requirement, title } from './compare.ts';
import { cached } from './data.ts';
import { compareResident, peakOf } from './resident.ts';
import { type Cost, costOfProcess } from './timing.ts';

const ROUNDS = 5;
const PROGRAM = fileURLToPath(new URL('../bin/wal-e.cjs', import.meta.url));

const archive = cached('archive');
const theirs = cached('cluster.tar.lzo');
const environment = {
  PATH: process.env.PATH ?? '',
  WALE_FILE_PREFIX: `file://localhost${archive}`,
  WALE_LOG_DESTINATION: 'stderr',
};

export async function run(): Promise<void> {
  const cluster = await cluster2();
  title('backup-push: throughput of files, beside tar and lzop');
  await compare({
    work: 'backup-push of 2 GB, file store',
    ours: { name: 'wal-e', run: () => push(cluster) },
    beside: { name: 'tar c | lzop', run: () => tarAndLzop(cluster) },
    rounds: ROUNDS,
    target: { atLeast: 2 },
    measures: ['wall'],
    bytes: bytesOf(cluster),
  });
  requirement('what was pushed unpacks to what tar packed', ...(await equality(cluster)));
  await compareResident('backup-push', (folder) => peakOf(pushCommand(folder), environment));
  rmSync(archive, { recursive: true, force: true });
  rmSync(theirs, { force: true });
}

function pushCommand(cluster: string): string[] {
  rmSync(archive, { recursive: true, force: true });
  mkdirSync(archive);
  return [process.execPath, PROGRAM, '--terse', 'backup-push', '--while-offline', '--with-config', cluster];
}

function push(cluster: string): Cost {
  return costOfProcess(pushCommand(cluster), { env: environment });
}

function tarAndLzop(cluster: string): Cost {
  rmSync(theirs, { force: true });
  return costOfProcess(['bash', '-c', 'set -o pipefail; tar -c -C "$0" . | lzop > "$1"', cluster, theirs]);
}

/** Both are unpacked; everything but what no backup holds is the same. */
async function equality(cluster: string): Promise<[string, boolean, string]> {
  push(cluster);
  const folders = ['unpacked-ours', 'unpacked-theirs'].map(cached);
  const [ours = '', other = ''] = folders;
  for (const folder of folders) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  }
  const unpack = (file: string, folder: string) =>
    execFileSync('bash', ['-c', 'set -o pipefail; lzop -dc < "$0" | tar -x -C "$1"', file, folder]);
  const [backup = ''] = readdirSync(join(archive, 'basebackups_005'));
  const parts = join(archive, 'basebackups_005', backup.slice(0, 38), 'tar_partitions');
  for (const part of readdirSync(parts)) unpack(join(parts, part), ours);
  unpack(theirs, other);
  const { stdout } = await difference(ours, other);
  const left = stdout.split('\n').filter((line) => line !== '' && !isLeftOut(line));
  for (const folder of folders) rmSync(folder, { recursive: true });
  return [left.length === 0 ? 'yes' : (left[0] ?? ''), left.length === 0, 'equal'];
}

function isLeftOut(line: string): boolean {
  return /^Only in .*unpacked-theirs\S*: (postmaster\.opts|pg_internal\.init|pgsql_tmp|\d{4})$/.test(line);
}

function difference(one: string, other: string): Promise<{ stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('diff', ['-rq', one, other], { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.once('error', reject).once('close', () => resolve({ stdout }));
  });
}
