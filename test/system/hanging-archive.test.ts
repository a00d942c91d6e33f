/** A real server whose archive hangs (see hanging-store.test.ts): nothing is lost, and no recovery ends early. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createArchive,
  createPrimary,
  fingerprint,
  LOG_TO_SERVER,
  load,
  recover,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';

const HANGING = fileURLToPath(new URL('../harness/hanging-fs.cjs', import.meta.url));
const TOO_LATE = 'within the deadline of 1 s';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** Short enough to wait for. Where nothing hangs there is none: on a slow machine a sound call may take longer. */
const hurried = (command: string) => `WALE_DEADLINE=1 ${command}`;

/** `call` hangs while the pipe is there. */
function trouble(call: string) {
  const folder = createScratch();
  const preload = join(folder, 'hanging.cjs');
  copyFileSync(HANGING, preload);
  const pipe = join(folder, 'pipe');
  return {
    environment: {
      ...LOG_TO_SERVER,
      NODE_OPTIONS: `--require ${preload}`,
      HANG_CALL: call,
      HANG_PIPE: pipe,
    },
    begin() {
      execFileSync('mkfifo', [pipe]);
      chmodSync(pipe, 0o666);
    },
    end: () => rmSync(pipe),
  };
}

describe('a server whose archive hangs', () => {
  it('is archived when the archive answers again, and recovers from it only then', async () => {
    const archive = createArchive();
    const primary = await createPrimary({
      version: NEWEST_POSTGRES,
      archive,
      segmentMb: 1,
      settings: { wal_keep_size: '64MB' },
    });
    clusters.push(primary);
    await primary.start({ environment: LOG_TO_SERVER });
    await load(primary, 1, 1);
    await primary.stop();
    const copy = join(createScratch(primary.account), 'data');
    cpSync(primary.dataDirectory, copy, { recursive: true });

    const push = trouble('fsync');
    push.begin();
    await primary.configure({ archive_command: hurried(archive.command('wal-push %p')) });
    await primary.start({ environment: push.environment });
    await load(primary, 2, 1);
    const last = await switchSegment(primary);

    await poll('the failure', async () => (await primary.serverLog()).includes(TOO_LATE));
    expect(await archive.names()).not.toContain(last);
    push.end();
    await primary.configure({ archive_command: archive.command('wal-push %p') });
    // A new segment wakes an archiver that has given up for a minute.
    await load(primary, 3, 1);
    await untilArchived(primary, await switchSegment(primary));
    const expected = await fingerprint(primary);
    await primary.stop();

    const fetch = trouble('open');
    fetch.begin();
    const words = archive.command('wal-fetch -p 0 %f %p');
    const settings = { hot_standby: 'on' };
    const recovered = await recover(copy, NEWEST_POSTGRES, hurried(words), settings, 'recovery');
    clusters.push(recovered);
    await recovered.start({ wait: false, environment: fetch.environment });
    await poll('the server to stop', () => !recovered.isRunning());
    const log = await recovered.serverLog();
    expect(log).toContain(TOO_LATE);
    expect(log).toContain('FATAL:  could not restore file');
    expect(log).not.toContain('archive recovery complete');
    fetch.end();
    await recovered.configure({ restore_command: words });
    await recovered.start({ environment: fetch.environment });
    await poll(
      'the end of recovery',
      async () => (await recovered.value('SELECT pg_is_in_recovery()')) === 'f',
    );
    expect(await fingerprint(recovered)).toBe(expected);
  });
});
