/**
 * A million WAL keys deleted: time per thousand of them and memory, on a store stub and on the file store. The files are
 * empty and in memory where there is /dev/shm: what a disk takes to forget a file is not what is measured.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached } from './data.ts';
import { type MeasuredArchive, measuredArchive } from './delete-archive.ts';

const MEMORY = '/dev/shm';
const KEYS = Number(process.env.WALE_BENCH_DELETE_KEYS ?? 1_000_000);
const PROGRAM = fileURLToPath(new URL('../bin/wal-e.cjs', import.meta.url));
const SAMPLE_MS = 50;

interface Result {
  readonly seconds: number;
  readonly peakKilobytes: number;
}

export async function run(): Promise<void> {
  console.log('\ndelete --confirm retain 1');
  // The archives beside it show what memory does not depend on.
  const sizes = [KEYS / 10, KEYS, 3 * KEYS];
  for (const keys of sizes) print('store stub', keys, onStub(keys));
  for (const keys of sizes) print('file store', keys, await onFileStore(measuredArchive(keys)));
}

function print(store: string, keys: number, { seconds, peakKilobytes }: Result): void {
  const perThousand = ((1000 * seconds) / (keys / 1000)).toFixed(2);
  const memory = (peakKilobytes / 1024).toFixed(0);
  console.log(
    `  ${store.padEnd(12)} ${String(keys).padStart(8)} keys  ${seconds.toFixed(1).padStart(6)} s  ${perThousand.padStart(7)} ms per 1000 keys  peak ${memory} MB resident`,
  );
}

function onStub(keys: number): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cached('delete.child.cjs'), String(keys)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`delete on the stub exited ${status}: ${stderr}`);
  return JSON.parse(stdout) as Result;
}

/** The built program, on as many files. */
async function onFileStore(archive: MeasuredArchive): Promise<Result> {
  const folder = mkdtempSync(existsSync(MEMORY) ? `${MEMORY}/wale-bench-` : cached('delete-'));
  try {
    for (const { key, text } of archive.backup) {
      mkdirSync(dirname(join(folder, key)), { recursive: true });
      writeFileSync(join(folder, key), text);
    }
    mkdirSync(join(folder, 'wal_005'), { recursive: true });
    for (const key of archive.wal()) closeSync(openSync(join(folder, key), 'w'));
    const files = readdirSync(join(folder, 'wal_005')).length;
    const result = await measured(folder);
    const gone = files - readdirSync(join(folder, 'wal_005')).length;
    if (gone !== archive.doomed) throw new Error(`${gone} files are gone, not ${archive.doomed}`);
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measured(folder: string): Promise<Result> {
  const started = performance.now();
  const child = spawn(process.execPath, [PROGRAM, '--terse', 'delete', '--confirm', 'retain', '1'], {
    env: { WALE_FILE_PREFIX: `file://localhost${folder}`, WALE_LOG_DESTINATION: 'stderr' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let peakKilobytes = 0;
  const sampling = setInterval(() => {
    peakKilobytes = Math.max(peakKilobytes, peakOf(child.pid ?? 0));
  }, SAMPLE_MS);
  const status = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(sampling);
  if (status !== 0) throw new Error(`delete on the file store exited ${status}`);
  return { seconds: (performance.now() - started) / 1000, peakKilobytes };
}

/** The kernel's high-water mark, so that a peak between two samples counts too. */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
