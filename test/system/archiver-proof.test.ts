/**
 * Neighbours are told to PostgreSQL as archived only where the program is all of archive_command: real archivers, with
 * every way of writing that command that operators use.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverAccount } from '../harness/account.ts';
import {
  type Archive,
  createArchive,
  createPrimary,
  LOG_TO_SERVER,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from '../harness/staging.ts';

const WAITING = 4;
const ALONE = 'the segment was archived together with an earlier one';

let tools: string;
let seen: string;

/** Command lines by what is proven about them; `push` stands for the program with its options and `wal-push %p`. */
const marked: Record<string, (push: string) => string> = {
  plainly: (push) => push,
  'with exec, so that no shell is left': (push) => `exec ${push}`,
  'through envdir': (push) => `${tools}/envdir ${tools}/env ${push}`,
  'through envdir, without a shell': (push) => `exec ${tools}/envdir ${tools}/env ${push}`,
  'with quotes': (push) => push.replace('wal-push', `"wal-push"`).replace('%p', "'%p'"),
  'with its path made of %f': (push) => push.replace('%p', 'pg_wal/%f'),
  'with settings in front': (push) => `WALE_RETRIES=3 ${push}`,
  'with more blanks than needed': (push) => ` ${push.replaceAll(' ', '   ')} `,
};

const noted: Record<string, (push: string) => string> = {
  'before another command': (push) => `${push} && echo %f >> ${seen}`,
  'after another command': (push) => `echo %f >> ${seen} && ${push}`,
  'after another command, without a shell': (push) => `echo %f >> ${seen} && exec ${push}`,
  'in a list': (push) => `${push}; status=$?; echo %f >> ${seen}; exit $status`,
  'in a pipe': (push) => `${push} 2>&1 | cat >> /dev/null; echo %f >> ${seen}`,
  'in a condition': (push) => `if ${push}; then echo %f >> ${seen}; else false; fi`,
  'by a wrapper script': (push) => `${wrapper('wrapper', `echo %f >> ${seen}\n${push}`)} %p %f`,
  'by a wrapper script that becomes it': (push) =>
    `${wrapper('becomes', `echo %f >> ${seen}\nexec ${push}`)} %p %f`,
  'by a wrapper script, without a shell': (push) =>
    `exec ${wrapper('direct', `echo %f >> ${seen}\nexec ${push}`)} %p %f`,
  'by a shell that is asked for': (push) => `/bin/sh -c "echo %f >> ${seen}; ${push}"`,
  'with a variable in front': (push) => `SEEN=$(echo %f >> ${seen}) ${push}`,
};

function wrapper(name: string, script: string): string {
  const path = join(tools, name);
  writeFileSync(path, `#!/bin/sh\n${script.replaceAll('%p', '"$1"').replaceAll('%f', '"$2"')}\n`);
  chmodSync(path, 0o755);
  return path;
}

beforeAll(() => {
  tools = createScratch(serverAccount());
  seen = join(tools, 'seen');
  mkdirSync(join(tools, 'env'));
  writeFileSync(join(tools, 'envdir'), '#!/bin/sh\nshift\nexec "$@"\n');
  chmodSync(join(tools, 'envdir'), 0o755);
});

interface Server {
  readonly cluster: Cluster;
  readonly archive: Archive;
}

const servers = new Map<number, Server>();

/** A server that is stopped, with an archive of its own. */
async function serverOf(version: number): Promise<Server> {
  const known = servers.get(version);
  if (known !== undefined) return known;
  const archive = createArchive();
  const cluster = await createPrimary({ version, archive, ...(version > 10 ? { segmentMb: 1 } : {}) });
  servers.set(version, { cluster, archive });
  return { cluster, archive };
}

afterAll(async () => {
  for (const { cluster } of servers.values()) await cluster.dispose();
});

interface Run {
  readonly names: readonly string[];
  /** Calls that were answered from a note. */
  readonly answeredFromNotes: number;
}

/** Lets segments pile up while the archiver is held, then lets it go on until all are archived. */
async function archiveWaiting(cluster: Cluster, archiveCommand: string, reload = false): Promise<Run> {
  await cluster.configure({ archive_command: reload ? 'false' : archiveCommand });
  // The server's start is known in whole seconds, and the configuration must be older.
  const second = Math.floor(Date.now() / 1000);
  await poll('the next second', () => Math.floor(Date.now() / 1000) > second);
  await cluster.start({ environment: LOG_TO_SERVER });
  if (reload) await cluster.configure({ archive_command: archiveCommand });
  const before = (await cluster.serverLog()).length;
  const archiver = await poll('the archiver', () => archiverOf(cluster));
  process.kill(archiver, 'SIGSTOP');
  const names = [];
  for (let i = 0; i < WAITING; i += 1) names.push(await switchSegment(cluster));
  process.kill(archiver, 'SIGCONT');
  for (const name of names) await untilArchived(cluster, name);
  await cluster.stop();
  const log = (await cluster.serverLog()).slice(before);
  return { names, answeredFromNotes: log.split(ALONE).length - 1 };
}

function archiverOf(cluster: Cluster): number | undefined {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (Number(parent) === cluster.pid() && title.startsWith('postgres: archiver')) return Number(pid);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}

const notesLeft = (cluster: Cluster) => {
  const folder = join(cluster.walDirectory, '.wal-e/pushed');
  return existsSync(folder) ? readdirSync(folder) : [];
};

describe.each([NEWEST_POSTGRES, OLDEST_POSTGRES])('the archiver of PostgreSQL %i', (version) => {
  const variants =
    version === NEWEST_POSTGRES ? Object.keys(marked) : ['plainly', 'with exec, so that no shell is left'];
  it.each(variants)('is told of neighbours when it calls the program %s', async (variant) => {
    const { cluster, archive } = await serverOf(version);
    const command = marked[variant]?.(archive.command('wal-push %p')) ?? '';
    const run = await archiveWaiting(cluster, command);
    expect(run.answeredFromNotes).toBe(0);
    expect(notesLeft(cluster)).toEqual([]);
    for (const name of run.names) await archive.content(name);
  });

  const others =
    version === NEWEST_POSTGRES ? Object.keys(noted) : ['before another command', 'by a wrapper script'];
  it.each(others)(
    'is told nothing, so that the rest of its command sees every segment, when it calls the program %s',
    async (variant) => {
      writeFileSync(seen, '');
      chmodSync(seen, 0o666);
      const { cluster, archive } = await serverOf(version);
      const command = noted[variant]?.(archive.command('wal-push %p')) ?? '';
      const run = await archiveWaiting(cluster, command);
      expect(readFileSync(seen, 'utf8').split('\n')).toEqual(expect.arrayContaining([...run.names]));
      for (const name of run.names) await archive.content(name);
    },
  );
});

describe('without a shell between archiver and program', () => {
  it('the configuration is believed only while it is older than the server', async () => {
    const { cluster, archive } = await serverOf(NEWEST_POSTGRES);
    const run = await archiveWaiting(cluster, `exec ${archive.command('wal-push %p')}`, true);
    expect(run.answeredFromNotes).toBe(WAITING - 1);
  });
});

describe('the choice of the operator', () => {
  it('--mark-done tells the archiver whatever else its command does', async () => {
    const { cluster, archive } = await serverOf(NEWEST_POSTGRES);
    const run = await archiveWaiting(cluster, `${archive.command('wal-push --mark-done %p')} && true`);
    expect(run.answeredFromNotes).toBe(0);
  });

  it('--no-mark-done never tells it', async () => {
    const { cluster, archive } = await serverOf(NEWEST_POSTGRES);
    const run = await archiveWaiting(cluster, archive.command('wal-push --no-mark-done %p'));
    expect(run.answeredFromNotes).toBe(WAITING - 1);
  });
});
