/**
 * The WAL verbs as PostgreSQL runs them, each call a process, beside `node -e 0`, the least that a program on Node can
 * take; and many segments beside one lzop process for all of them, which keeps nothing, syncs nothing.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compare, type Measure, requirement, title } from './compare.ts';
import { cached, database } from './data.ts';
import { type Cost, costOfProcess, type ProcessOptions } from './timing.ts';

const PROGRAM = fileURLToPath(new URL('../bin/wal-e.cjs', import.meta.url));
const S3_SERVER = fileURLToPath(new URL('../test/harness/s3/run.mjs', import.meta.url));
const PEAK = fileURLToPath(new URL('peak.cjs', import.meta.url));
const ROUNDS = 21;
const MANY = 32;
const NODE = { name: 'node -e 0', run: () => costOfProcess([process.execPath, '-e', '0']) };

export async function run(): Promise<void> {
  const folder = cached('wal-work');
  rmSync(folder, { recursive: true, force: true });
  const place = await Workplace.create(folder);
  const server = await startS3();
  try {
    // The first start makes the code cache.
    place.wale(['version']);
    title(`one call of wal-e, beside node -e 0 (Node ${process.version})`);
    await singles(place);
    await singlesOnS3(place, server.environment);
    await many(place);
    memory(place);
  } finally {
    server.child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function beside(
  work: string,
  ours: () => Cost,
  atMost: number,
  measures: readonly Measure[] = ['wall', 'cpu'],
): Promise<void> {
  await compare({
    work,
    ours: { name: 'ours', run: ours },
    beside: NODE,
    rounds: ROUNDS,
    target: { atMost },
    measures,
  });
}

async function singles(place: Workplace): Promise<void> {
  await beside('version', () => place.wale(['version']), 1.3);
  place.emptyArchive();
  place.wale(['wal-push', place.segment(0)]);
  const pushed = () => place.wale(['wal-push', place.segment(1)]);
  await beside('wal-push, already pushed as a neighbour', pushed, 1.4);
  const push = () => {
    place.emptyArchive();
    return place.wale(['wal-push', '-p', '1', place.segment(0)]);
  };
  await beside('wal-push of 16 MB, file store', push, 2);
  const target = join(place.folder, 'fetched');
  const fetch = () => place.wale(['wal-fetch', '-p', '0', place.names[0] ?? '', target]);
  await beside('wal-fetch of 16 MB, file store', fetch, 1.8, ['wall']);
  place.checkFetched(target);
  await beside('wal-fetch of a prefetched segment', () => place.fetchPrefetched(target), 1.5, ['wall']);
}

async function singlesOnS3(place: Workplace, s3: Record<string, string>): Promise<void> {
  // An object that is there is compared, not stored: each round has a prefix of its own.
  let round = 0;
  const options = () => ({ env: { ...s3, WALE_S3_PREFIX: `${s3.WALE_S3_PREFIX}/${round}` } });
  const push = () => {
    round += 1;
    return place.wale(['wal-push', '-p', '1', place.segment(0)], options());
  };
  await beside('wal-push of 16 MB, S3 on loopback', push, 2.8, ['wall']);
  const target = join(place.folder, 'fetched');
  const fetch = () => place.wale(['wal-fetch', '-p', '0', place.names[0] ?? '', target], options());
  await beside('wal-fetch of 16 MB, S3 on loopback', fetch, 2.6, ['wall']);
  place.checkFetched(target);
}

async function many(place: Workplace): Promise<void> {
  title('many segments, beside one lzop process for the same bytes');
  const paths = place.names.map((name) => join(place.walDirectory, name));
  await compare({
    work: `${MANY} ready segments by one call, file store`,
    ours: {
      name: 'ours',
      run: () => {
        place.emptyArchive();
        place.forgetPushed();
        return place.wale(['wal-push', place.segment(0)]);
      },
    },
    beside: { name: 'lzop', run: () => costOfProcess(['lzop', '-c', ...paths]) },
    rounds: 5,
    target: { atMost: 0.7 },
    measures: ['wall'],
    bytes: MANY * 16 * 1024 * 1024,
  });
  const archived = readdirSync(join(place.archive, 'wal_005')).length;
  requirement('segments in the archive after it', String(archived), archived === MANY, `= ${MANY}`);
}

function memory(place: Workplace): void {
  for (const [words, work] of [
    [['wal-push', '-p', '1', place.segment(0)], 'one segment'],
    [['wal-push', place.segment(0)], `${MANY} segments by one call`],
  ] as const) {
    place.emptyArchive();
    place.forgetPushed();
    const megabytes = place.peakMegabytes(words);
    requirement(
      `resident memory, wal-push, ${work}`,
      `${megabytes.toFixed(0)} MB`,
      megabytes <= 120,
      '<= 120 MB',
    );
  }
}

/** A WAL directory in which all segments wait, and an archive. */
class Workplace {
  readonly folder: string;
  readonly walDirectory: string;
  readonly archive: string;
  readonly names: readonly string[];
  readonly #sources: readonly string[];

  static async create(folder: string): Promise<Workplace> {
    const { segments } = await database();
    return new Workplace(folder, segments.slice(0, MANY));
  }

  private constructor(folder: string, sources: readonly string[]) {
    this.folder = folder;
    this.#sources = sources;
    this.names = sources.map((path) => basename(path));
    this.walDirectory = join(folder, 'pg_wal');
    this.archive = join(folder, 'archive');
    mkdirSync(join(this.walDirectory, 'archive_status'), { recursive: true });
    for (const path of sources) {
      linkSync(path, join(this.walDirectory, basename(path)));
      writeFileSync(join(this.walDirectory, 'archive_status', `${basename(path)}.ready`), '');
    }
    mkdirSync(this.archive);
  }

  segment(index: number): string {
    return join(this.walDirectory, this.names[index] ?? '');
  }

  wale(words: readonly string[], options: ProcessOptions = {}): Cost {
    return costOfProcess([PROGRAM, ...words], {
      cwd: this.folder,
      ...options,
      env: this.#environment(options.env),
    });
  }

  /** The most that the process had in memory. */
  peakMegabytes(words: readonly string[]): number {
    const { status, output } = spawnSync(process.execPath, ['-r', PEAK, PROGRAM, ...words], {
      cwd: this.folder,
      env: { PATH: process.env.PATH, ...this.#environment() },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    if (status !== 0) throw new Error(`wal-e ${words.join(' ')} exited ${status}: ${output[2]?.toString()}`);
    return Number(output[3]?.toString()) / 1024;
  }

  #environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const file = 'WALE_S3_PREFIX' in more ? {} : { WALE_FILE_PREFIX: `file://localhost${this.archive}` };
    return { WALE_LOG_DESTINATION: 'stderr', ...file, ...more };
  }

  emptyArchive(): void {
    rmSync(join(this.archive, 'wal_005'), { recursive: true, force: true });
  }

  /** Takes away the notes of segments that went along with another. */
  forgetPushed(): void {
    rmSync(join(this.walDirectory, '.wal-e'), { recursive: true, force: true });
  }

  /** The segment asked for and the 8 behind it are in the spool, as they are while a standby catches up. */
  fetchPrefetched(target: string): Cost {
    const spool = join(this.folder, '.wal-e', 'prefetch');
    mkdirSync(spool, { recursive: true });
    this.#sources.slice(0, 9).forEach((path, index) => {
      const held = join(spool, this.names[index] ?? '');
      if (!existsSync(held)) copyFileSync(path, held);
    });
    return this.wale(['wal-fetch', this.names[0] ?? '', target]);
  }

  checkFetched(path: string): void {
    const { status } = spawnSync('cmp', [path, this.#sources[0] ?? '']);
    if (status !== 0) throw new Error(`other bytes were fetched: ${path}`);
  }
}

interface S3Server {
  readonly child: ChildProcess;
  readonly environment: Record<string, string>;
}

/** The suite's server, in a process of its own, since ours waits for those that it measures. */
async function startS3(): Promise<S3Server> {
  const child = spawn(process.execPath, [S3_SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const environment: Record<string, string> = {};
  for await (const line of createInterface(child.stdout)) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) environment[name] = value;
    if (name === 'AWS_REGION') break;
  }
  return { child, environment };
}
