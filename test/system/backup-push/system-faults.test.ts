import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArchivedCluster, backupNames, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { logEntries, runProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';
import { failingCalls, orSkip, smallDisk } from '../../harness/system-faults.ts';

let made: ArchivedCluster;
let relation: string;

beforeAll(async () => {
  made = await createArchivedCluster({ segmentMb: 1, initdbArguments: ['-k'] });
  await made.cluster.start();
  relation = join(
    made.cluster.dataDirectory,
    await made.cluster.value("select pg_relation_filepath('pg_proc')"),
  );
});

afterAll(async () => {
  await made.cluster.dispose();
});

async function push(wrapper: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const run = await runProgram(['backup-push', '--fast-checkpoint', made.cluster.dataDirectory], {
    environment: { ...made.environment, ...environment },
    wrapper,
  });
  return { ...run, entries: logEntries(run.stderr) };
}

async function sessions(): Promise<string> {
  return made.cluster.value("select count(*) from pg_stat_activity where application_name = 'wal-e'");
}

describe('a disk that gives an I/O error', () => {
  it('in the middle of a file fails the backup, names the file, and leaves no sentinel', async ({ skip }) => {
    const strace = orSkip(failingCalls('pread64', 'error=EIO:when=2+', relation), skip, 'strace');
    const { status, stderr, entries } = await push(strace);
    expect(status).toBe(1);
    expect(entries).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'could not read a file of the cluster',
        detail: expect.stringMatching(new RegExp(`^"${relation}": EIO`)),
      }),
    );
    expect(stderr).toContain('the backup on the server was ended');
    await poll('its session to end', async () => (await sessions()) === '0');
    expect(backupNames(made.archive)).toEqual([]);
  });

  it('in the middle of a folder fails the backup, names the folder, and leaves no sentinel', async ({
    skip,
  }) => {
    const folder = dirname(relation);
    // strace counts the calls of each thread for itself, so there is one to read folders. This one is read twice to measure the cluster and twice for the backup; the end of each reading is a call, too.
    const strace = orSkip(failingCalls('getdents64', 'error=EIO:when=6+', folder), skip, 'strace');
    const { status, stderr, entries } = await push(strace, { UV_THREADPOOL_SIZE: '1' });
    expect(status).toBe(1);
    expect(stderr).toContain('the backup has started');
    expect(entries).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'could not read the data directory',
        detail: expect.stringMatching(new RegExp(`^EIO: .* "${folder}"$`)),
      }),
    );
    expect(backupNames(made.archive)).toEqual([]);
  });
});

describe('an archive on a disk', () => {
  it('that gets full fails the backup with the system’s words, and keeps nothing of it', async ({ skip }) => {
    const archive = join(createScratch(), 'archive');
    mkdirSync(archive);
    const disk = orSkip(smallDisk(archive, 2), skip, 'unshare and mount');
    const { status, stdout, stderr, entries } = await push(disk, {
      WALE_FILE_PREFIX: `file://localhost${archive}`,
    });
    expect(status, stderr).toBe(1);
    expect(entries).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'could not store a file',
        detail: expect.stringMatching(/part_\d{8}\.tar\.lzo".*ENOSPC/),
      }),
    );
    expect(stderr).toContain('the backup on the server was ended');
    const left = stdout.split('\n').filter((path) => path !== '');
    expect(left).toEqual([]);
  });
});
