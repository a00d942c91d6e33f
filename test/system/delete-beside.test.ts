/** delete again and again beside a server that works, archives and takes base backups: nobody notices, nothing is lost. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { restorability } from '../../src/archive/restorability.ts';
import { surveyBackups } from '../../src/archive/survey.ts';
import { createFileStore } from '../../src/store/file.ts';
import { surveyWal } from '../../src/verification/wal-survey.ts';
import {
  createArchive,
  createPrimary,
  fingerprint,
  load,
  recover,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';

const BACKUPS = 3;
const SEGMENT_BYTES = 1024 * 1024;
const call = { signal: new AbortController().signal };
const archive = createArchive();
const clusters: Cluster[] = [];
let primary: Cluster;

beforeAll(async () => {
  primary = await createPrimary({
    version: NEWEST_POSTGRES,
    archive,
    segmentMb: 1,
    pushWords: '--terse wal-push %p',
  });
  clusters.push(primary);
  await primary.start();
});
afterAll(async () => {
  for (const cluster of clusters) await cluster.dispose();
});

async function wale(...args: string[]): Promise<string> {
  const environment = { WALE_FILE_PREFIX: archive.prefix, ...primary.environment };
  const { status, stdout, stderr } = await runProgram(args, { environment });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** Names of the listed backups: all of them, and those that cannot be restored. */
async function listed(): Promise<{ names: string[]; broken: string[] }> {
  const store = createFileStore(archive.directory);
  const { backups } = await surveyBackups(store, call);
  const { listed: wal, tree } = await surveyWal(store, SEGMENT_BYTES, new Map(), call);
  const coverage = wal.sized(SEGMENT_BYTES);
  const complete = backups.filter(({ sentinel }) => sentinel !== undefined);
  const broken = complete.filter((backup) => !restorability(backup, tree, coverage).ok);
  return { names: complete.map(({ name }) => name), broken: broken.map(({ name }) => name) };
}

it('never costs a backup or a segment that is being archived, and what is left restores to the end', async () => {
  let isWorking = true;
  let deletions = 0;
  const whileWorking = async (work: (round: number) => Promise<void>) => {
    for (let round = 0; isWorking; round += 1) await work(round);
  };
  const work = whileWorking(async (round) => {
    await load(primary, round, 1);
    // No faster than it is archived.
    await untilArchived(primary, await switchSegment(primary));
  });
  const deleting = whileWorking(async () => {
    await wale('--terse', 'delete', '--confirm', 'retain', '1');
    deletions += 1;
  });
  const backups = (async () => {
    for (let count = 0; count < BACKUPS; count += 1) {
      await wale('--terse', 'backup-push', '--fast-checkpoint', primary.dataDirectory);
      const before = deletions;
      await poll('a whole deletion', () => deletions >= before + 2);
    }
  })().finally(() => {
    isWorking = false;
  });
  await Promise.all([work, deleting, backups]);
  await untilArchived(primary, await switchSegment(primary));
  expect(await primary.value('SELECT failed_count FROM pg_stat_archiver')).toBe('0');
  const { names, broken } = await listed();
  expect(broken).toEqual([]);
  expect(names).toHaveLength(1);
  expect(deletions).toBeGreaterThan(BACKUPS);

  const final = await fingerprint(primary);
  await primary.stop('fast');
  const target = join(createScratch(), 'data');
  await wale('backup-fetch', target, names[0] ?? '');
  const restored = await recover(
    target,
    NEWEST_POSTGRES,
    archive.command('--terse wal-fetch %f %p'),
    { archive_mode: 'off' },
    'recovery',
  );
  clusters.push(restored);
  await restored.start();
  await poll('the end of recovery', async () => {
    return (await restored.value('select pg_is_in_recovery()')) === 'f';
  });
  expect(await fingerprint(restored)).toBe(final);
});
