/**
 * CPU instructions of the main works, beside those of `node -e 0`: the ratio hardly depends on Node's patch release,
 * nor on what else the machine does. Compared with what was accepted (instructions.json).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Accepted } from './accepted.ts';
import { smallCluster } from './cluster.ts';
import { CONDITIONS, median, printRow, requirement, verdict } from './compare.ts';
import { type Counter, type CountOptions, findCounter } from './counting.ts';
import { cached } from './data.ts';
import { costOfProcess } from './timing.ts';
import { PROGRAM, startS3, Workplace } from './workplace.ts';

const BASELINE = fileURLToPath(new URL('instructions.json', import.meta.url));

interface Work {
  readonly name: string;
  readonly command: readonly string[];
  readonly options?: CountOptions;
  /** Before every run. */
  readonly prepare?: () => void;
}

export async function run(): Promise<void> {
  const counter = findCounter();
  if (counter === undefined) {
    requirement('CPU instructions', 'not counted', false, 'perf, valgrind');
    return;
  }
  const folder = cached('instructions-work');
  rmSync(folder, { recursive: true, force: true });
  const place = await Workplace.create(folder);
  const server = await startS3();
  try {
    const title = `CPU instructions by ${counter.name}, median of ${counter.rounds}`;
    console.log(`\n${title}, millions and beside node -e 0 (Node ${process.version})`);
    printRow(['work', '', 'ours', 'beside', '', 'ratio', 'spread', '', 'accepted']);
    count(counter, [
      ...codecWorks(place),
      ...pushWorks(place, server.environment),
      ...fetchWorks(place, server.environment),
      ...(await backupWorks(place)),
    ]);
  } finally {
    server.child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function count(counter: Counter, works: readonly Work[]): void {
  const accepted = new Accepted(BASELINE, process.argv.includes('--update'));
  const conditions = `${counter.name}, ${CONDITIONS}`;
  const node = median(counted(counter, { name: 'node -e 0', command: [process.execPath, '-e', '0'] }));
  for (const work of works) {
    const counts = counted(counter, work);
    const ratios = counts.map((value) => value / node);
    const ratio = median(ratios);
    const kept = accepted.isKept(conditions, work.name, ratio);
    printRow([
      work.name,
      '',
      millions(median(counts)),
      millions(node),
      'node -e 0',
      ratio.toFixed(2),
      `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
      '',
      accepted.figure(conditions, work.name)?.toFixed(2) ?? 'none',
      // Where nothing was accepted yet, nothing can have become worse, and that must not look like success.
      verdict(kept !== undefined, kept),
    ]);
  }
}

/** The first run makes code caches, and does not count. */
function counted(counter: Counter, { command, options = {}, prepare }: Work): number[] {
  prepare?.();
  costOfProcess(command, options);
  return Array.from({ length: counter.rounds }, () => {
    prepare?.();
    return counter.count(command, options);
  });
}

function millions(instructions: number): string {
  return (instructions / 1e6).toFixed(1);
}

function codecWorks(place: Workplace): Work[] {
  const packed = join(place.folder, 'packed.lzo');
  costOfProcess(['lzop', '-c', place.segment(0)], { stdout: packed });
  return [
    {
      name: 'compress 16 MB of WAL',
      command: [process.execPath, cached('compress.child.cjs'), place.segment(0)],
    },
    { name: 'decompress 16 MB of WAL', command: [process.execPath, cached('decompress.child.cjs'), packed] },
  ];
}

function pushWorks(place: Workplace, s3: Readonly<Record<string, string>>): Work[] {
  // An object that is there is compared, not stored: each run has an archive of its own.
  const options = { cwd: place.folder, env: place.environment() };
  const push = wale('wal-push', '-p', '1', place.segment(0));
  const prepare = () => place.emptyArchive();
  const fresh: Record<string, string> = { ...place.environment(s3) };
  let round = 0;
  const freshPrefix = () => {
    round += 1;
    fresh.WALE_S3_PREFIX = `${s3.WALE_S3_PREFIX}/instructions/${round}`;
  };
  return [
    { name: 'version', command: wale('version'), options },
    { name: 'wal-push of 16 MB, file store', command: push, options, prepare },
    {
      name: 'wal-push of 16 MB, S3 on loopback',
      command: push,
      options: { ...options, env: fresh },
      prepare: freshPrefix,
    },
    {
      name: 'wal-push, already pushed as a neighbour',
      command: wale('wal-push', place.segment(1)),
      options,
      prepare() {
        place.emptyArchive();
        place.wale(['wal-push', place.segment(0)]);
      },
    },
  ];
}

function fetchWorks(place: Workplace, s3: Readonly<Record<string, string>>): Work[] {
  const options = { cwd: place.folder, env: place.environment() };
  const onS3 = { cwd: place.folder, env: place.environment(s3) };
  const [first = ''] = place.names;
  const target = join(place.folder, 'fetched');
  const fetch = wale('wal-fetch', '-p', '0', first, target);
  const stored = (env: Readonly<Record<string, string>>) => () => {
    place.wale(['wal-push', '-p', '1', place.segment(0)], { env });
    rmSync(target, { force: true });
  };
  return [
    { name: 'wal-fetch of 16 MB, file store', command: fetch, options, prepare: stored({}) },
    { name: 'wal-fetch of 16 MB, S3 on loopback', command: fetch, options: onS3, prepare: stored(s3) },
    {
      name: 'wal-fetch of a prefetched segment',
      command: wale('wal-fetch', first, target),
      options,
      prepare() {
        place.fillSpool();
        rmSync(target, { force: true });
      },
    },
  ];
}

/** 40 MB, in worker threads. */
async function backupWorks(place: Workplace): Promise<Work[]> {
  const cluster = await smallCluster();
  const archive = join(place.folder, 'backups');
  const options = {
    cwd: place.folder,
    env: { ...place.environment(), WALE_FILE_PREFIX: `file://localhost${archive}` },
  };
  const push = wale('--terse', 'backup-push', '--while-offline', '--with-config', cluster);
  const target = join(place.folder, 'restored');
  const empty = () => {
    rmSync(archive, { recursive: true, force: true });
    mkdirSync(archive);
  };
  return [
    { name: 'backup-push of 40 MB, file store', command: push, options, prepare: empty },
    {
      name: 'backup-fetch of 40 MB, file store',
      command: wale('--terse', 'backup-fetch', target, 'LATEST'),
      options,
      prepare: () => rmSync(target, { recursive: true, force: true }),
    },
  ];
}

/** Not by its shebang: it is Node that is counted. */
function wale(...words: readonly string[]): string[] {
  return [process.execPath, PROGRAM, ...words];
}
