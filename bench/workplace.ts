/** What the benchmarks of the WAL verbs work in: a WAL directory, an archive, and the suite's S3 server. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { database } from './data.ts';
import { type Cost, costOfProcess, type ProcessOptions } from './timing.ts';

export const PROGRAM = fileURLToPath(new URL('../bin/wal-e.cjs', import.meta.url));
const S3_SERVER = fileURLToPath(new URL('../test/harness/s3/run.mjs', import.meta.url));
const PEAK = fileURLToPath(new URL('peak.cjs', import.meta.url));
/** Segments that wait. */
export const MANY = 32;

/** A WAL directory in which all segments wait, and an archive. */
export class Workplace {
  readonly folder: string;
  readonly walDirectory: string;
  readonly archive: string;
  readonly names: readonly string[];
  readonly #sources: readonly string[];

  static async create(folder: string): Promise<Workplace> {
    const { segments } = await database();
    // The first ones are like no others: little was written before the load began.
    return new Workplace(folder, segments.slice(-MANY));
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
    // PostgreSQL runs its commands in the data directory, where this file tells the launcher so.
    writeFileSync(join(folder, 'PG_VERSION'), '17\n');
  }

  segment(index: number): string {
    return join(this.walDirectory, this.names[index] ?? '');
  }

  wale(words: readonly string[], options: ProcessOptions = {}): Cost {
    return costOfProcess([PROGRAM, ...words], {
      cwd: this.folder,
      ...options,
      env: this.environment(options.env),
    });
  }

  /** The most that the process had in memory. */
  peakMegabytes(words: readonly string[]): number {
    const { status, output } = spawnSync(process.execPath, ['-r', PEAK, PROGRAM, ...words], {
      cwd: this.folder,
      env: { PATH: process.env.PATH, ...this.environment() },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    if (status !== 0) throw new Error(`wal-e ${words.join(' ')} exited ${status}: ${output[2]?.toString()}`);
    return Number(output[3]?.toString()) / 1024;
  }

  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
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
    this.fillSpool();
    return this.fetch(target);
  }

  /** PostgreSQL removes what is at the destination before it asks (RestoreArchivedFile in xlogarchive.c). */
  fetch(target: string, words: readonly string[] = [], options: ProcessOptions = {}): Cost {
    rmSync(target, { force: true });
    return this.wale(['wal-fetch', ...words, this.names[0] ?? '', target], options);
  }

  fillSpool(): void {
    const spool = join(this.folder, '.wal-e', 'prefetch');
    mkdirSync(spool, { recursive: true });
    this.#sources.slice(0, 9).forEach((path, index) => {
      const held = join(spool, this.names[index] ?? '');
      // Whoever fetches ahead syncs.
      if (!existsSync(held)) writeFileSync(held, readFileSync(path), { flush: true });
    });
  }

  checkFetched(path: string): void {
    const { status } = spawnSync('cmp', [path, this.#sources[0] ?? '']);
    if (status !== 0) throw new Error(`other bytes were fetched: ${path}`);
  }
}

export interface S3Server {
  readonly child: ChildProcess;
  readonly environment: Record<string, string>;
}

/** The suite's server, in a process of its own, since ours waits for those that it measures. */
export async function startS3(): Promise<S3Server> {
  const child = spawn(process.execPath, [S3_SERVER, '--etag', 'opaque'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const environment: Record<string, string> = {};
  for await (const line of createInterface(child.stdout)) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) environment[name] = value;
    if (name === 'AWS_REGION') break;
  }
  return { child, environment };
}
