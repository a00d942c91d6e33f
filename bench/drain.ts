/**
 * A backlog that PostgreSQL's own archiver archives, archive_command by archive_command, with all settings of wal-e as
 * they are by default, beside one lzop process for the same bytes. WALE_BENCH_SEGMENTS: how many, 256 by default.
 */
import { chownSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName, segmentPosition } from '../src/postgres/segment.ts';
import { createArchive } from '../test/harness/archiving.ts';
import { poll } from '../test/harness/poll.ts';
import { type Cluster, createCluster } from '../test/harness/postgres.ts';
import { compare, requirement, title } from './compare.ts';
import { database } from './data.ts';
import { type Cost, costOfProcess } from './timing.ts';
import { PROGRAM } from './workplace.ts';

const COUNT = Number(process.env.WALE_BENCH_SEGMENTS ?? 256);
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Far ahead of where the idle server writes. */
const FIRST = 0x1000_0000_0000n;
const LIMIT_MS = 300_000;

export async function run(): Promise<void> {
  // As after an installation by root: the server's user may not make the code cache.
  costOfProcess([PROGRAM, 'version']);
  const archive = createArchive();
  const cluster = await createCluster({ version: 16, settings: { archive_mode: 'on', archive_command: '' } });
  try {
    const names = await makeBacklog(cluster);
    const paths = names.map((name) => join(cluster.walDirectory, name));
    title(`${COUNT} segments drained by PostgreSQL's archiver, beside one lzop process for the same bytes`);
    await compare({
      work: `${COUNT} segments, file store`,
      ours: {
        name: 'ours',
        run: () => drain(cluster, names, archive.directory, archive.command('wal-push %p')),
      },
      beside: { name: 'lzop', run: () => costOfProcess(['lzop', '-c', ...paths]) },
      rounds: 2,
      target: { atMost: 1.2 },
      measures: ['wall'],
      bytes: COUNT * SEGMENT_BYTES,
    });
    const archived = new Set(await archive.names());
    const missing = names.filter((name) => !archived.has(name)).length;
    requirement('of these not in the archive', String(missing), missing === 0, '= 0');
  } finally {
    await cluster.dispose();
    rmSync(archive.directory, { recursive: true, force: true });
  }
}

/** Real segments over and over, each with the position in its first page that its name says. */
async function makeBacklog(cluster: Cluster): Promise<readonly string[]> {
  const { segments } = await database();
  const contents = segments.map((path) => readFileSync(path));
  return Array.from({ length: COUNT }, (_, index) => {
    const name = segmentName(1, FIRST + BigInt(index * SEGMENT_BYTES), SEGMENT_BYTES);
    const content = contents[index % contents.length] ?? Buffer.alloc(0);
    content.writeBigUInt64LE(segmentPosition(name, SEGMENT_BYTES).start, 8);
    const path = join(cluster.walDirectory, name);
    writeFileSync(path, content);
    chownSync(path, cluster.account.uid, cluster.account.gid);
    return name;
  });
}

/** From the moment that the server has an archive_command until its own books have the last segment. */
async function drain(
  cluster: Cluster,
  names: readonly string[],
  archive: string,
  command: string,
): Promise<Cost> {
  const status = join(cluster.walDirectory, 'archive_status');
  rmSync(join(archive, 'wal_005'), { recursive: true, force: true });
  rmSync(join(cluster.walDirectory, '.wal-e'), { recursive: true, force: true });
  for (const name of readdirSync(status)) rmSync(join(status, name));
  for (const name of names) {
    writeFileSync(join(status, `${name}.ready`), '');
    chownSync(join(status, `${name}.ready`), cluster.account.uid, cluster.account.gid);
  }
  await cluster.configure({ archive_command: '' });
  await cluster.start();
  const last = join(status, `${names.at(-1)}.done`);
  const started = performance.now();
  await cluster.configure({ archive_command: command });
  await poll('the backlog to be archived', () => existsSync(last) && allDone(status), LIMIT_MS);
  const wallMs = performance.now() - started;
  const cpuMs = childrenCpuMs(await cluster.value(ARCHIVER));
  await cluster.stop();
  return { wallMs, cpuMs };
}

const ARCHIVER = `SELECT pid FROM pg_stat_activity WHERE backend_type = 'archiver'`;
/** Linux counts in hundredths of a second, whatever its clock. */
const TICK_MS = 10;

/** CPU time of the processes that this one started and waited for: cutime and cstime of proc(5). */
function childrenCpuMs(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function allDone(status: string): boolean {
  return !readdirSync(status).some((name) => name.endsWith('.ready'));
}
