import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseLsn } from '../../../src/postgres/segment.ts';
import {
  type ArchivedCluster,
  backupNames,
  createArchivedCluster,
  readSentinel,
} from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { logEntries, type RunningProgram, runProgram, startProgram } from '../../harness/program.ts';

let made: ArchivedCluster;

beforeEach(async () => {
  made = await createArchivedCluster({ segmentMb: 1, initdbArguments: ['-k'] });
  await made.cluster.start();
});

afterEach(async () => {
  await made.cluster.dispose();
});

/** About six seconds of reading, so that there is a middle for something to happen in. */
async function startSlowly(wrapper: readonly string[] = []): Promise<RunningProgram> {
  const all = ['backup-push', '--fast-checkpoint', '--cluster-read-rate-limit', '4000000'];
  const running = startProgram([...all, made.cluster.dataDirectory], {
    environment: made.environment,
    wrapper,
  });
  await poll('the backup to start', () => running.stderr().includes('the backup has started'));
  return running;
}

async function push(...args: string[]) {
  const run = await runProgram(['backup-push', '--fast-checkpoint', ...args, made.cluster.dataDirectory], {
    environment: made.environment,
  });
  return { ...run, last: logEntries(run.stderr).at(-1) };
}

/** Everything below basebackups_005, temporary files too. */
function archived(): string[] {
  const folder = join(made.archive, 'basebackups_005');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    // Temporary files come and go meanwhile.
    statSync(join(folder, path), { throwIfNoEntry: false })?.isFile(),
  );
}

async function sessions(): Promise<string> {
  return made.cluster.value("select count(*) from pg_stat_activity where application_name = 'wal-e'");
}

describe('a backup that is interrupted', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    'by %s ends the backup on the server, says so, and leaves nothing in the archive',
    async (signal, status) => {
      const running = await startSlowly();
      await poll('the first part to be begun', () => archived().some((path) => path.includes('part_')));
      running.child.kill(signal);
      const { status: actual, stderr } = await running.finished;
      expect(actual).toBe(status);
      expect(stderr).toContain(`interrupted by ${signal}`);
      expect(stderr).toContain('the backup on the server was ended');
      await poll('its session to end', async () => (await sessions()) === '0');
      await poll('the server to forget the backup', async () =>
        /aborting backup/.test(await made.cluster.serverLog()),
      );
      expect(stderr).toContain('removed what the failed backup had stored');
      expect(archived()).toEqual([]);
    },
  );

  it('by a hangup goes on under nohup', async () => {
    // The program's own first lines are a shell's, and see what nohup did.
    const running = await startSlowly(['sh', '-c', 'exec nohup "$@"']);
    running.child.kill('SIGHUP');
    const { status, stderr } = await running.finished;
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('interrupted');
    expect(backupNames(made.archive)).toHaveLength(1);
  });

  it('while it waits for a checkpoint leaves no process waiting on the server', async () => {
    await made.cluster.configure({ checkpoint_timeout: '1h', checkpoint_completion_target: '0.9' });
    await made.cluster.query('create table t as select g, md5(g::text) from generate_series(1, 100000) g');
    const running = startProgram(['backup-push', made.cluster.dataDirectory], {
      environment: made.environment,
    });
    await poll(
      'the wait',
      async () => running.stderr().includes('starting the backup') && (await sessions()) === '1',
    );
    running.child.kill('SIGTERM');
    const { status, stderr } = await running.finished;
    expect({ status, said: stderr.includes('the backup on the server was ended') }).toEqual({
      status: 143,
      said: true,
    });
    await poll('its session to end', async () => (await sessions()) === '0');
  });

  it('[bpush-21] by kill -9 leaves no sentinel, the next one is not in its way, and a later delete takes what it left', async () => {
    const running = await startSlowly();
    await poll('the first part to be begun', () => archived().some((path) => path.includes('part_')));
    running.child.kill('SIGKILL');
    await running.finished;
    expect(backupNames(made.archive)).toEqual([]);
    const left = archived();
    expect(left.map((path) => path.replace(/^.*\//, ''))).toContain('extended_version.txt');
    await poll('its session to end', async () => (await sessions()) === '0');
    const { status, stderr } = await push();
    expect(status, stderr).toBe(0);
    const [name = '', ...others] = backupNames(made.archive);
    expect(others).toEqual([]);
    const keep = ['delete', '--confirm', 'retain', '1'];
    expect((await runProgram(keep, { environment: made.environment })).status).toBe(0);
    expect(archived()).toEqual(expect.arrayContaining(left));
    const old = Date.now() / 1000 - 8 * 86_400;
    for (const path of left) utimesSync(join(made.archive, 'basebackups_005', path), old, old);
    expect((await runProgram(keep, { environment: made.environment })).status).toBe(0);
    expect(archived().filter((path) => !path.startsWith(name))).toEqual([]);
    expect(readdirSync(join(made.archive, 'basebackups_005'))).toHaveLength(2);
  });
});

describe('a backup whose server fails it', () => {
  it('ends when the session is terminated, with a clear message', async () => {
    const running = await startSlowly();
    await made.cluster.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'wal-e'",
    );
    const { status, stderr } = await running.finished;
    expect(status).toBe(1);
    expect(logEntries(stderr).map(({ message }) => message)).toContain('lost the connection to PostgreSQL');
    expect(backupNames(made.archive)).toEqual([]);
  });

  it.each(['fast', 'kill'] as const)('ends when the server stops (%s)', async (mode) => {
    const running = await startSlowly();
    await made.cluster.stop(mode);
    const { status, stderr } = await running.finished;
    expect(status).toBe(1);
    expect(stderr).toContain('lost the connection to PostgreSQL');
    expect(backupNames(made.archive)).toEqual([]);
  });

  it('is not completed when its WAL does not reach the archive, and what is missing is named', async () => {
    await made.cluster.configure({ archive_command: '/bin/false' });
    const { status, last, stderr } = await push('--wal-timeout', '3');
    expect(status).toBe(1);
    expect(last).toMatchObject({
      message: 'the WAL that the backup needs did not reach the archive',
      detail: expect.stringMatching(/^[0-9A-F]{24}.* not in the archive yet.* archiver failed last at/),
      hint: expect.stringContaining('wal_005/'),
    });
    expect(stderr).toContain('waiting for WAL to be archived');
    expect(backupNames(made.archive)).toEqual([]);
  });

  it('[bpush-18] ends on the server when the store fails', async () => {
    writeFileSync(join(made.archive, 'basebackups_005'), 'in the way');
    const { status, stderr } = await push();
    expect(status).toBe(1);
    expect(stderr).toContain('the backup on the server was ended');
    await poll('its session to end', async () => (await sessions()) === '0');
  });

  it('ends when a file cannot be read, which is no file that vanished', async () => {
    const loop = join(made.cluster.dataDirectory, 'base', 'loop');
    symlinkSync('loop', loop);
    const { status, last } = await push();
    expect({ status, message: last?.message }).toEqual({
      status: 1,
      message: 'could not read the data directory',
    });
    expect(backupNames(made.archive)).toEqual([]);
    rmSync(loop);
  });
});

describe('a page with a wrong checksum', () => {
  async function damage(): Promise<string> {
    await made.cluster.query('create table t as select g from generate_series(1, 10000) g');
    const file = await made.cluster.value("select pg_relation_filepath('t')");
    await made.cluster.stop();
    const path = join(made.cluster.dataDirectory, file);
    const descriptor = openSync(path, 'r+');
    const byte = readFileSync(path)[3 * 8192 + 5000] ?? 0;
    writeSync(descriptor, Buffer.of(byte ^ 1), 0, 1, 3 * 8192 + 5000);
    closeSync(descriptor);
    await made.cluster.start();
    return file;
  }

  it('is reported and recorded in a complete backup, whose exit status is 1', async () => {
    const file = await damage();
    const { status, stderr } = await push();
    expect(status).toBe(1);
    expect(logEntries(stderr)).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'the cluster has pages with a wrong checksum',
        detail: `1 in all: block 3 of "${file}". They are recorded in the backup.`,
      }),
    );
    const [name = ''] = backupNames(made.archive);
    const { own } = await readSentinel(made.archive, name);
    expect(own).toMatchObject({ damagedPages: [{ file, block: 3 }], damagedPageCount: 1 });
  });

  it('is none when WAL writes it anew, also among more such pages than are listed; one beyond the WAL is', async () => {
    const PAGES = 1200;
    const database = await made.cluster.value(
      'select oid from pg_database where datname = current_database()',
    );
    const file = `base/${database}/99999`;
    /** Pages that were being written in this very backup, so far as their LSN tells; `odd` of them has another. */
    const write = async (odd?: { readonly block: number; readonly offset: number }) => {
      const now =
        parseLsn(
          await made.cluster.value("select pg_create_restore_point('so that the segment is not empty')"),
        ) ?? 0n;
      // A backup begins with a new segment, holds its checkpoint, and ends some 256 bytes on.
      const segment = (now / BigInt(2 ** 20) + 1n) * BigInt(2 ** 20);
      const pages = Buffer.alloc(PAGES * 8192, 1);
      for (let block = 0; block < PAGES; block += 1) {
        const lsn = segment + BigInt(block === odd?.block ? odd.offset : 0xa0);
        pages.writeUInt32LE(Number(lsn >> 32n), block * 8192);
        pages.writeUInt32LE(Number(lsn & 0xffff_ffffn), block * 8192 + 4);
      }
      writeFileSync(join(made.cluster.dataDirectory, file), pages);
    };
    await write();
    const sound = await push();
    expect({ status: sound.status, stderr: sound.stderr }).toMatchObject({ status: 0 });
    await write({ block: PAGES - 1, offset: 0x8_0000 });
    const { status, stderr } = await push();
    expect(status).toBe(1);
    expect(logEntries(stderr)).toContainEqual(
      expect.objectContaining({
        detail: expect.stringMatching(`^1 in all: block ${PAGES - 1} of "${file}"`),
      }),
    );
  });

  it('stops the backup with --fail-on-checksum', async () => {
    const file = await damage();
    const { status, last } = await push('--fail-on-checksum');
    expect(status).toBe(1);
    expect(last).toMatchObject({
      message: 'a page of the cluster has a wrong checksum',
      detail: `Block 3 of "${file}".`,
    });
    expect(backupNames(made.archive)).toEqual([]);
  });
});

describe('a rate limit', () => {
  it('holds the reading of all workers together down', async () => {
    const started = performance.now();
    const { status, stderr } = await push('--cluster-read-rate-limit', '10000000', '-p', '4');
    expect(status).toBe(0);
    const [, megabytes = ''] = /: ([\d.]+) MB, compressed/.exec(stderr) ?? [];
    expect((performance.now() - started) / 1000).toBeGreaterThan(Number(megabytes) / 10);
  });
});
