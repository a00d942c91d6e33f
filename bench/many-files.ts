/** Memory of `wal-e backup-push` where a cluster has very many files: it must not grow with their number. */
import { closeSync, cpSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { smallCluster } from './cluster.ts';
import { figure, megabytes, title } from './compare.ts';
import { cached } from './data.ts';
import { peakOf } from './resident.ts';
import { PROGRAM } from './workplace.ts';

/** WALE_BENCH_FILES for other numbers than the larger of the two. */
const COUNTS = [250_000, Number(process.env.WALE_BENCH_FILES ?? 1_000_000)];
const FILES_A_FOLDER = 250_000;
const PAGE_BYTES = 8192;
const MOST_RESIDENT_MB = 300;
const MOST_GROWTH = 1.25;

const archive = cached('archive');
const cluster = cached('many-files');

export async function run(): Promise<void> {
  title('backup-push: memory with many files');
  const taken: number[] = [];
  try {
    for (const count of COUNTS) {
      await makeCluster(count);
      const resident = await peakOf(pushCommand(), {
        PATH: process.env.PATH ?? '',
        WALE_LOG_DESTINATION: 'stderr',
        WALE_FILE_PREFIX: `file://localhost${archive}`,
      });
      figure(`resident memory, backup-push of ${count} files`, resident, MOST_RESIDENT_MB, megabytes);
      taken.push(resident);
    }
    const [fewer = 0, more = 0] = taken;
    const growth = 'backup-push: memory of the more to the fewer';
    figure(growth, more / fewer, MOST_GROWTH, (value) => value.toFixed(2));
  } finally {
    for (const folder of [cluster, archive]) rmSync(folder, { recursive: true, force: true });
  }
}

function pushCommand(): string[] {
  rmSync(archive, { recursive: true, force: true });
  mkdirSync(archive);
  return [process.execPath, PROGRAM, '--terse', 'backup-push', '--while-offline', cluster];
}

/** Relations of one empty page each, in databases of their own. */
async function makeCluster(count: number): Promise<void> {
  rmSync(cluster, { recursive: true, force: true });
  cpSync(await smallCluster(), cluster, { recursive: true, verbatimSymlinks: true });
  for (let made = 0; made < count; made += 1) {
    const folder = join(cluster, 'base', String(50_000 + Math.floor(made / FILES_A_FOLDER)));
    if (made % FILES_A_FOLDER === 0) mkdirSync(folder);
    const relation = openSync(join(folder, String(100_000 + (made % FILES_A_FOLDER))), 'w');
    ftruncateSync(relation, PAGE_BYTES);
    closeSync(relation);
  }
}
