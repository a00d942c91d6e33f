/**
 * `wal-e backup-fetch` from a file store beside `lzop -d | tar -x`: the same files, both from the page cache, both to the
 * same file system, once to memory (/dev/shm), where nothing but the programs' own work counts, and once to the disk,
 * where the other side is followed by `sync -f`, since a restore that is not on the disk is not done. Ours starts Node,
 * checks the sha256 of every part and syncs every file and folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOf, cluster2 } from './cluster.ts';
import { compare, requirement, title } from './compare.ts';
import { cached } from './data.ts';
import { compareResident, peakOf } from './resident.ts';
import { type Cost, costOfProcess } from './timing.ts';

const ROUNDS = 5;
const MEMORY = '/dev/shm';
const PROGRAM = fileURLToPath(new URL('../bin/wal-e.cjs', import.meta.url));

const archive = cached('fetch-archive');
const packed = cached('fetch-cluster.tar.lzo');
const environment = {
  PATH: process.env.PATH ?? '',
  WALE_FILE_PREFIX: `file://localhost${archive}`,
  WALE_LOG_DESTINATION: 'stderr',
};

export async function run(): Promise<void> {
  const cluster = await cluster2();
  const bytes = bytesOf(cluster);
  push(cluster);
  execFileSync('bash', ['-c', 'set -o pipefail; tar -c -C "$0" . | lzop > "$1"', cluster, packed]);
  title('backup-fetch: throughput of files, beside lzop and tar');
  const places = [
    ...(existsSync(MEMORY)
      ? [{ name: 'memory', folder: join(MEMORY, `wale-bench-${process.pid}`), atLeast: 1.8 }]
      : []),
    { name: 'disk, both synced', folder: cached('fetch-target'), atLeast: 1 },
  ];
  for (const { name, folder, atLeast } of places) {
    await compare({
      work: `backup-fetch of 2 GB to ${name}`,
      ours: { name: 'wal-e', run: () => fetch(folder) },
      beside: { name: 'lzop -d | tar x', run: () => lzopAndTar(folder) },
      rounds: ROUNDS,
      target: { atLeast },
      measures: ['wall'],
      bytes,
    });
    rmSync(folder, { recursive: true, force: true });
  }
  requirement('what was fetched is what tar unpacks', ...equality());
  await compareResident('backup-fetch', (source) => {
    push(source);
    return peakOf(fetchCommand(cached('fetch-target')), environment);
  });
  for (const path of [archive, packed, cached('fetch-target')])
    rmSync(path, { recursive: true, force: true });
}

function push(cluster: string): void {
  rmSync(archive, { recursive: true, force: true });
  mkdirSync(archive);
  const args = [PROGRAM, '--terse', 'backup-push', '--while-offline', '--with-config', cluster];
  execFileSync(process.execPath, args, { env: environment, stdio: 'ignore' });
}

function fetchCommand(target: string): string[] {
  rmSync(target, { recursive: true, force: true });
  return [process.execPath, PROGRAM, '--terse', 'backup-fetch', target, 'LATEST'];
}

function fetch(target: string): Cost {
  return costOfProcess(fetchCommand(target), { env: environment });
}

function lzopAndTar(target: string): Cost {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  const script = 'set -o pipefail; lzop -dc < "$0" | tar -x -C "$1" && sync -f "$1"';
  return costOfProcess(['bash', '-c', script, packed, target]);
}

/** Everything but what no backup holds is the same. */
function equality(): [string, boolean, string] {
  const [ours, theirs] = [cached('fetch-ours'), cached('fetch-theirs')];
  fetch(ours);
  lzopAndTar(theirs);
  const script = 'diff -rq "$0" "$1" || true';
  const lines = execFileSync('bash', ['-c', script, ours, theirs], { encoding: 'utf8' }).split('\n');
  const left = lines.filter((line) => line !== '' && !isLeftOut(line));
  for (const folder of [ours, theirs]) rmSync(folder, { recursive: true });
  return [left[0] ?? 'yes', left.length === 0, 'equal'];
}

function isLeftOut(line: string): boolean {
  return /^Only in .*fetch-theirs\S*: (postmaster\.opts|pg_internal\.init|pgsql_tmp|\d{4})$/.test(line);
}
