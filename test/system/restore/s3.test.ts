/** backup-fetch from an S3 store behind a bad network: what is restored is whole, or the restore fails. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type BackupFetchArguments, run } from '../../../src/commands/backup-fetch.ts';
import { UserError } from '../../../src/errors.ts';
import type { Store } from '../../../src/store/store.ts';
import { leastMembers, storeBackup } from '../../harness/backup.ts';
import { testContext } from '../../harness/context.ts';
import { PLAIN_FETCH } from '../../harness/fetch-arguments.ts';
import { logEntries, PROGRAM, runProgram } from '../../harness/program.ts';
import { seededBytes } from '../../harness/random.ts';
import { createFaultProxy, type Fault, type FaultProxy } from '../../harness/s3/fault-proxy.ts';
import { createS3Server, type S3Server, TEST_ACCOUNT, TEST_BUCKET } from '../../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';
import { file } from '../../harness/tar.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
const SIZE = 3_000_000;
const PARTS = [2, 3, 4];

let server: S3Server;
let proxy: FaultProxy;
let store: Store;
let scratch: string;
beforeAll(async () => {
  server = await createS3Server();
  proxy = await createFaultProxy(server.url);
  const direct = openTestStore(server.url);
  await storeBackup(direct, {
    parts: [leastMembers(), ...PARTS.map((n) => [file(`base/${n}`, seededBytes(SIZE, n))])],
  });
  await direct.close();
});
afterAll(async () => {
  await proxy.close();
  await server.close();
});
beforeEach(() => {
  scratch = createScratch();
  store = openTestStore(proxy.url, { attempts: 40 });
});
afterEach(async () => {
  await store.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Each part's first `times` answers are broken. */
function breakParts(fault: Fault, times: number): void {
  const seen = new Map<string, number>();
  proxy.plan = ({ target }) => {
    const [part] = /part_\d{8}/.exec(target) ?? [];
    if (part === undefined) return undefined;
    const number = (seen.get(part) ?? 0) + 1;
    seen.set(part, number);
    return number <= times ? fault : undefined;
  };
}

async function fetch(from = store): Promise<string> {
  const directory = join(scratch, 'data');
  const args: BackupFetchArguments = {
    clusterDirectory: directory,
    ...PLAIN_FETCH,
    poolSize: 3,
  };
  await run(args, testContext({ store: from, environment: { WALE_FILE_PREFIX: 'file:///unused' } }));
  return directory;
}

const faults: readonly Fault[] = [
  { kind: 'reset-before' },
  { kind: 'reset-after', bytes: 1_000_000 },
  { kind: 'close-after', bytes: 2_000_000 },
  { kind: 'stall-after', bytes: 500_000 },
  { kind: 'alter-down', at: 1_234_567 },
  { kind: 'truncate-down', bytes: 1000 },
  { kind: 'answer', status: 503 },
];

it.each(faults)('restores what was stored although each part meets %j', async (fault) => {
  breakParts(fault, 2);
  // Only waiting shows that nothing comes any more; on a busy machine it may seem so of other answers, too.
  const hurried = openTestStore(proxy.url, { attempts: 40, timeouts: { connectMs: 400, idleMs: 500 } });
  const directory = await fetch(fault.kind === 'stall-after' ? hurried : store).finally(() =>
    hurried.close(),
  );
  for (const n of PARTS)
    expect(readFileSync(join(directory, `base/${n}`)).equals(seededBytes(SIZE, n)), `base/${n}`).toBe(true);
  expect(existsSync(join(directory, 'global/pg_control'))).toBe(true);
});

it('restores with the built program what was stored, fetching damaged and cut parts again', async () => {
  const faulty: Readonly<Record<string, Fault>> = {
    part_00000001: { kind: 'alter-down', at: 1_234_567 },
    part_00000002: { kind: 'reset-after', bytes: 1_000_000 },
    part_00000003: { kind: 'truncate-down', bytes: 1000 },
  };
  const met = new Set<string>();
  proxy.plan = ({ target }) => {
    const [part = ''] = /part_\d{8}/.exec(target) ?? [];
    if (met.has(part)) return undefined;
    met.add(part);
    return faulty[part];
  };
  const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix` };
  const directory = join(scratch, 'data');
  const { status, stderr } = await runProgram(['backup-fetch', '-p', '3', directory, 'LATEST'], {
    environment,
  });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  for (const n of PARTS)
    expect(readFileSync(join(directory, `base/${n}`)).equals(seededBytes(SIZE, n)), `base/${n}`).toBe(true);
  expect(existsSync(join(directory, 'global/pg_control'))).toBe(true);
  expect(existsSync(join(directory, 'wal-e-restore-incomplete.json'))).toBe(false);
  const again = logEntries(stderr).filter(({ message }) => message === 'fetching a part again');
  for (const part of ['part_00000001', 'part_00000003'])
    expect(again.map(({ detail }) => detail).join('\n')).toContain(`${part}.tar.lzo`);
  expect(stderr).not.toContain(TEST_ACCOUNT.secretAccessKey);
});

it.runIf(hasScript)('shows on a terminal, in one line, how far it is', async () => {
  proxy.plan = ({ target }) =>
    target.includes('part_') ? { kind: 'trickle', bytes: 200_000, everyMs: 100 } : undefined;
  const words = [process.execPath, PROGRAM, 'backup-fetch', '-p', '1', join(scratch, 'data'), 'LATEST'];
  const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix` };
  // script(1) gives the program a terminal, and passes on what it writes there.
  const child = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', WALE_LOG_DESTINATION: 'stderr', ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 240_000,
  });
  let shown = '';
  for await (const text of child.stdout.setEncoding('utf8')) shown += text;
  const lines = shown
    .split('\r\x1b[K')
    .map((text) => /^restored [\d.]+ \w+ of 9\.0 MB \((\d+)%\), .+\/s.*, \d of 4 parts/.exec(text)?.[1]);
  const percents = lines.filter((percent) => percent !== undefined).map(Number);
  expect(percents.length, shown).toBeGreaterThan(2);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(shown.split('\n').filter((line) => / INFO .*restored /.test(line))).toEqual([]);
});

it('fails, with a target that cannot be started, when a part never arrives whole', async () => {
  breakParts({ kind: 'alter-down', at: 1_234_567 }, 1000);
  await expect(fetch()).rejects.toThrow(UserError);
  expect(existsSync(join(scratch, 'data/global/pg_control'))).toBe(false);
  expect(existsSync(join(scratch, 'data/wal-e-restore-incomplete.json'))).toBe(true);
});
