/** Two backup-fetch into one place at the same moment: one of them restores, the other one says so and touches nothing. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { createFileStore } from '../../../src/store/file.ts';
import { leastMembers, storeBackup } from '../../harness/backup.ts';
import { poll } from '../../harness/poll.ts';
import { logEntries, type RunningProgram, runProgram, startProgram } from '../../harness/program.ts';
import { seededBytes } from '../../harness/random.ts';
import { createFaultProxy, type FaultProxy } from '../../harness/s3/fault-proxy.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../../harness/s3/store.ts';
import { createScratch } from '../../harness/scratch.ts';
import { failingCalls, orSkip } from '../../harness/system-faults.ts';
import { file } from '../../harness/tar.ts';

const MARKER = 'wal-e-restore-incomplete.json';
const OID = '16384';
const content = seededBytes(300_000, 1);

let server: S3Server;
let proxy: FaultProxy;
let scratch: string;
let target: string;
beforeAll(async () => {
  server = await createS3Server();
  proxy = await createFaultProxy(server.url);
  const direct = openTestStore(server.url);
  await storeBackup(direct, {
    parts: [leastMembers(), [file('base/2', content), file(`pg_tblspc/${OID}/PG_14/1`, content)]],
    tablespaces: new Map([[OID, '/source/one']]),
  });
  await direct.put(walKey('000000010000000000000003'), [content], {
    ...{ createOnly: false, contentType: 'application/octet-stream' },
    signal: new AbortController().signal,
  });
  await direct.close();
});
afterAll(async () => {
  await proxy.close();
  await server.close();
});
beforeEach(() => {
  scratch = createScratch();
  target = join(scratch, 'data');
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function start(directory: string, tablespace: string, more: readonly string[] = []): RunningProgram {
  const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix` };
  const words = ['backup-fetch', '--tablespace', `${OID}=${tablespace}`, ...more, directory, 'LATEST'];
  return startProgram(words, { environment });
}

/**
 * Both are held at their last question before they write until both have asked it, and the one that goes on is held at
 * its first part until the other one has ended.
 */
async function together(begin: readonly (() => RunningProgram)[]) {
  let letGo = () => {};
  let letFinish = () => {};
  const bothAsked = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const oneEnded = new Promise<void>((resolve) => {
    letFinish = resolve;
  });
  let asked = 0;
  proxy.plan = ({ target: address }) => {
    if (asked === begin.length && address.includes('part_')) return { kind: 'held', until: oneEnded };
    if (!decodeURIComponent(address).includes('wal_005')) return undefined;
    asked += 1;
    if (asked === begin.length) letGo();
    return { kind: 'held', until: bothAsked };
  };
  const runs = begin.map((one) => one());
  const [loser, winner] = await Promise.race(
    runs.map(async (run, index) => {
      await run.finished;
      return [run, runs[1 - index]] as const;
    }),
  );
  if (winner === undefined) throw new Error('there are two');
  return { loser, winner, letFinish };
}

function expectRefused(stderr: string, detail: RegExp): void {
  expect(logEntries(stderr).at(-1)).toMatchObject({
    level: 'ERROR',
    message: 'another backup-fetch is restoring into the same directory',
    detail: expect.stringMatching(detail),
  });
}

describe('two restores that start at the same moment', () => {
  it.each([
    ['into a directory that is not there', false, []],
    ['into an empty directory', true, []],
    ['with --force', true, ['--force']],
  ] as const)('%s: one restores, the other is refused', async (_, exists, more) => {
    const tablespace = join(scratch, 'one');
    if (exists) mkdirSync(target);
    const one = () => start(target, tablespace, more);
    const { loser, winner, letFinish } = await together([one, one]);
    const refused = await loser.finished;
    expect(refused.status).toBe(1);
    expectRefused(refused.stderr, /^(Process \d+|Another process) restores into "/);
    expect(winner.child.exitCode).toBe(null);
    await poll('the place of the tablespace', () => existsSync(tablespace));
    expect(readdirSync(target).filter((name) => !name.startsWith(MARKER))).toEqual([]);
    expect(readdirSync(tablespace)).toEqual([]);
    letFinish();
    const restored = await winner.finished;
    expect({ status: restored.status, stderr: restored.stderr }).toMatchObject({ status: 0 });
    expect(readFileSync(join(target, 'base/2')).equals(content)).toBe(true);
    expect(existsSync(join(target, 'global/pg_control'))).toBe(true);
    expect(readdirSync(target).filter((name) => name.startsWith(MARKER))).toEqual([]);
  });

  it('gone on with from one that was killed: one goes on, the other is refused', async () => {
    const tablespace = join(scratch, 'one');
    proxy.plan = ({ target: address }) =>
      address.includes('part_00000001') ? { kind: 'stall-after', bytes: 100_000 } : undefined;
    const killed = start(target, tablespace, ['-p', '1']);
    await poll('the marker', () => markerText() !== '');
    killed.child.kill('SIGKILL');
    await killed.finished;
    const one = () => start(target, tablespace);
    const { loser, winner, letFinish } = await together([one, one]);
    expectRefused((await loser.finished).stderr, / restores into "/);
    letFinish();
    expect((await winner.finished).status).toBe(0);
    expect(readFileSync(join(target, 'base/2')).equals(content)).toBe(true);
  });

  it('into directories of their own, with one place for a tablespace: one restores, the other is refused', async () => {
    const tablespace = join(scratch, 'one');
    const [a, b] = [join(scratch, 'a'), join(scratch, 'b')];
    const { loser, winner, letFinish } = await together([
      () => start(a, tablespace),
      () => start(b, tablespace),
    ]);
    expectRefused((await loser.finished).stderr, /"[^"]*\/one"/);
    letFinish();
    expect((await winner.finished).status).toBe(0);
    const left = [a, b].filter((directory) => !existsSync(join(directory, 'PG_VERSION')));
    expect(left).toHaveLength(1);
    expect(readdirSync(left[0] ?? '')).toEqual([]);
    expect(readFileSync(join(tablespace, 'PG_14/1')).equals(content)).toBe(true);
  });
});

describe('a system that has not all that keeps restores apart', () => {
  it.for([
    ['sockets: the restore warns, and goes on', 'bind', 'could not lock a directory of the restore'],
    ['hard links: the restore goes on', '?link,linkat', undefined],
  ] as const)('%s', async ([, call, warning], { skip }) => {
    const wrapper = orSkip(failingCalls(call, 'error=EPERM'), skip, 'strace');
    const store = createFileStore(join(scratch, 'archive'));
    await storeBackup(store, { parts: [leastMembers(), [file('base/2', content)]] });
    const { status, stderr } = await runProgram(['backup-fetch', target, 'LATEST'], {
      environment: { WALE_FILE_PREFIX: store.url },
      wrapper,
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const told = logEntries(stderr).filter(({ message }) => message === warning);
    expect(told.map(({ level }) => level)).toEqual(warning === undefined ? [] : ['WARNING']);
    expect(readFileSync(join(target, 'base/2')).equals(content)).toBe(true);
    expect(readdirSync(target).filter((name) => name.startsWith(MARKER))).toEqual([]);
  });
});

describe('a restore that another one ended meanwhile', () => {
  it('is refused, and what the other one restored stays as it is', async () => {
    const tablespace = join(scratch, 'one');
    proxy.plan = ({ target: address }) =>
      address.includes('part_00000001') ? { kind: 'stall-after', bytes: 100_000 } : undefined;
    const killed = start(target, tablespace);
    await poll('a complete part', () => /"number":0/.test(markerText()));
    killed.child.kill('SIGKILL');
    await killed.finished;
    let letGo = () => {};
    const ended = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let asked = false;
    proxy.plan = ({ target: address }) => {
      if (asked || !decodeURIComponent(address).includes('wal_005')) return undefined;
      asked = true;
      return { kind: 'held', until: ended };
    };
    const late = start(target, tablespace);
    await poll('its question', () => asked);
    expect((await start(target, tablespace).finished).status).toBe(0);
    const control = readFileSync(join(target, 'global/pg_control'));
    letGo();
    const { status, stderr } = await late.finished;
    expect(status).toBe(1);
    expect(logEntries(stderr).at(-1)?.message).toBe(
      'another backup-fetch was in the target of the restore meanwhile',
    );
    expect(readFileSync(join(target, 'global/pg_control')).equals(control)).toBe(true);
    expect(existsSync(join(target, MARKER))).toBe(false);
  });
});

function markerText(): string {
  const path = join(target, MARKER);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
