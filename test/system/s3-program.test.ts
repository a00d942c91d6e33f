/** What an operator on S3 can rely on, sentence by sentence, by the program as archive_command and restore_command start it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { poll } from '../harness/poll.ts';
import { type ProgramResult, runProgram, startProgram } from '../harness/program.ts';
import { createFaultProxy, type FaultProxy } from '../harness/s3/fault-proxy.ts';
import { AMAZON } from '../harness/s3/habits.ts';
import { createS3Server, type S3Server, TEST_ACCOUNT, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const SEGMENT = '000000010000000000000005';
const BYTES = segmentBytes(SEGMENT, 1024 * 1024, 1);
const KEY = `some/prefix/${walKey(SEGMENT)}`;
/** wal-fetch's for everything but a file that is not in the archive, outside of a recovery. */
const FETCH_FAILED = 2;

let server: S3Server;
let proxy: FaultProxy;
let folder: string;
beforeEach(async () => {
  server = await createS3Server();
  proxy = await createFaultProxy(server.url);
  folder = createScratch();
  mkdirSync(join(folder, 'archive_status'));
  writeFileSync(join(folder, SEGMENT), BYTES);
});
afterEach(async () => {
  await proxy.close();
  await server.close();
});

type Changes = Readonly<Record<string, string>>;

function environment(changes: Changes): Record<string, string> {
  const prefix = `s3://${TEST_BUCKET}/some/prefix`;
  const trusted = { WALE_S3_CONDITIONAL_PUT: 'true', WALE_S3_PREFIX: prefix };
  return { ...testEnvironment(proxy.url), ...trusted, ...changes };
}

const push = (changes: Changes = {}) =>
  runProgram(['wal-push', join(folder, SEGMENT)], { environment: environment(changes), limitMs: 60_000 });
const target = () => join(folder, 'fetched');
const fetch = (changes: Changes = {}) =>
  runProgram(['wal-fetch', '-p', '0', SEGMENT, target()], {
    environment: environment(changes),
    limitMs: 60_000,
  });

/** Method and status of what the store was asked since the last time. */
function asked(): string[] {
  const lines = server.log.map((line) => line.replace(/^(\S+).* (\d+)$/, '$1 $2'));
  server.forgetLog();
  return lines;
}

async function pushed(changes: Changes = {}): Promise<void> {
  const { status, stderr } = await push(changes);
  expect(status, stderr).toBe(0);
}

function expectFailure(result: ProgramResult, status: number, message: string, hint: string): void {
  expect(result.status, result.stderr).toBe(status);
  expect(result.stderr).toContain(`ERROR    MSG: ${message}`);
  expect(result.stderr).toMatch(new RegExp(`HINT: .*${hint}`));
  expect(existsSync(target())).toBe(false);
}

describe('what is asked for an object', () => {
  it.each<[Changes, Record<string, string>]>([
    [{}, {}],
    [{ WALE_S3_SSE: 'AES256' }, { 'x-amz-server-side-encryption': 'AES256' }],
    [{ WALE_S3_STORAGE_CLASS: 'STANDARD_IA' }, { 'x-amz-storage-class': 'STANDARD_IA' }],
    [
      { WALE_S3_SSE: 'aws:kms', WALE_S3_SSE_KMS_KEY_ID: 'alias/wal' },
      {
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'alias/wal',
      },
    ],
  ])('behind an endpoint is what was set, and no more: %s', async (changes, expected) => {
    await pushed(changes);
    const { 'x-amz-meta-wal-e-crc32': ours, ...rest } = server.bucket.get(KEY)?.headers ?? {};
    expect(ours).toMatch(/==$/);
    expect(rest).toEqual(expected);
  });
});

describe('what is asked of the store', () => {
  it('is what the job needs: objects and lists, on one connection, never the bucket itself', async () => {
    const ports = new Set<unknown>();
    const requests: string[] = [];
    server.intercept = ({ port, method, key, query }) => {
      ports.add(port);
      requests.push(`${method} ${key === '' ? [...query.keys()].sort().join() : 'object'}`);
      return undefined;
    };
    const direct = { WALE_S3_ENDPOINT: server.url };
    await pushed(direct);
    await fetch(direct);
    expect(requests).toEqual(['PUT object', 'GET object']);
    ports.clear();
    for (const words of [['backup-list'], ['wal-verify'], ['delete', '--confirm', 'everything']]) {
      const { status, stderr } = await runProgram(words, { environment: environment(direct) });
      expect(status, `${words} ${stderr}`).toBeLessThan(2);
    }
    for (const request of new Set(requests)) {
      expect(request).toMatch(/^((PUT|GET|HEAD) object|GET .*\b(list-type|uploads)\b.*|POST delete)$/);
    }
    expect(requests.length).toBeGreaterThan(5);
    expect(ports.size).toBeLessThanOrEqual(requests.length / 2);
  });

  it('in another region than AWS_REGION says is asked there, by one request more', async () => {
    const elsewhere = await createS3Server({ region: 'eu-central-1' });
    await pushed({ WALE_S3_ENDPOINT: elsewhere.url });
    expect(elsewhere.log.map((line) => line.split(' ').at(-1))).toEqual(['400', '200']);
    elsewhere.forgetLog();
    await pushed({ WALE_S3_ENDPOINT: elsewhere.url, AWS_REGION: 'eu-central-1' });
    expect(elsewhere.log.map((line) => line.split(' ').at(-1))).toEqual(['412', '200']);
    await elsewhere.close();
  });

  it('whose clock is another is asked by its clock', async () => {
    const ahead = await createS3Server({ clockAheadMs: 3_600_000 });
    await pushed({ WALE_S3_ENDPOINT: ahead.url });
    expect(ahead.log.map((line) => line.split(' ').at(-1))).toEqual(['403', '200']);
    await ahead.close();
  });
});

describe('what is missing is told apart', () => {
  it('a missing object is status 1; a missing bucket, and a 404 of something else, are failures', async () => {
    expect((await fetch()).status).toBe(1);
    const other = { WALE_S3_PREFIX: 's3://no-such-bucket/x' };
    expectFailure(await fetch(other), FETCH_FAILED, 'the bucket does not exist', 'WALE_S3_PREFIX');
    server.intercept = () => ({ status: 404, headers: { 'x-amz-request-id': '' }, body: [] });
    expectFailure(await fetch(), FETCH_FAILED, 'what answers is not an S3 store', 'WALE_S3_ENDPOINT');
  });

  it('a denial stands for a missing object only where it names the right to list', async () => {
    server.policy = [{ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }];
    expect((await fetch()).status).toBe(1);
    server.policy = [];
    expectFailure(await fetch(), FETCH_FAILED, 'the store denies access', 's3:GetObject');
  });
});

describe('what asking again cannot help fails at once, by one request', () => {
  it.each([
    [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'the store rejects the credentials', 'AWS_SECRET_ACCESS_KEY'],
    [{ AWS_ACCESS_KEY_ID: 'WRONG' }, 'the store rejects the credentials', 'AWS_ACCESS_KEY_ID'],
    [{ WALE_S3_PREFIX: 's3://no-such-bucket/x' }, 'the bucket does not exist', 'WALE_S3_PREFIX'],
  ])('%s', async (changes, message, hint) => {
    expectFailure(await push(changes), 1, message, hint);
    expect(asked()).toHaveLength(1);
  });

  it('a token that has expired', async () => {
    server.accounts = [{ ...TEST_ACCOUNT, expired: true }];
    expectFailure(await push(), 1, 'the credentials have expired', 'AWS_SESSION_TOKEN');
    expect(asked()).toHaveLength(1);
  });
});

describe('what may be better the next time is asked again', () => {
  it('as often as WALE_RETRIES says, with a WARNING each time, then the last failure', async () => {
    proxy.plan = () => ({ kind: 'answer', status: 503, code: 'SlowDown' });
    const result = await push({ WALE_RETRIES: '3' });
    expect(result.status).toBe(1);
    expect(
      result.stderr.match(/WARNING +MSG: the store could not do what was asked; trying again/g),
    ).toHaveLength(2);
    expect(result.stderr).toMatch(/DETAIL: PUT .* 503 SlowDown .* It was tried 3 times\./);
    expect(proxy.done.requests).toBe(3);
  });

  it('not before the time that the store names', async () => {
    let left = 1;
    proxy.plan = () => {
      left -= 1;
      return left === 0 ? { kind: 'answer', status: 429, headers: { 'retry-after': '2' } } : undefined;
    };
    const started = performance.now();
    await pushed();
    expect(performance.now() - started).toBeGreaterThan(2000);
  });

  it('from where a download broke off', async () => {
    await pushed();
    asked();
    let left = 2;
    proxy.plan = () => {
      left -= 1;
      return left >= 0 ? { kind: 'reset-after', bytes: 100_000 } : undefined;
    };
    expect((await fetch()).status).toBe(0);
    expect(asked()).toEqual(['GET 200', 'GET 206', 'GET 206']);
    expect(readFileSync(target()).equals(BYTES)).toBe(true);
  });
});

describe('a command ends at its deadline, with what it saw last', () => {
  // So long that a busy machine gets to the first answer.
  const deadline = { WALE_DEADLINE: '4' };
  const message = 'the store did not do what was asked within the deadline of 4 s';

  async function expectInTime(run: Promise<ProgramResult>, status: number, seen: string): Promise<void> {
    // Without the deadline it would go on for many minutes; it is killed after one.
    const result = await run;
    expect(result.status, result.stderr).toBe(status);
    expect(result.stderr).toContain(`ERROR    MSG: ${message}`);
    expect(result.stderr).toContain(seen);
    expect(existsSync(target())).toBe(false);
  }

  it('nobody listens', async () => {
    const nobody = { ...deadline, WALE_S3_ENDPOINT: 'http+path://127.0.0.1:1' };
    await expectInTime(push(nobody), 1, 'ECONNREFUSED');
    await expectInTime(fetch(nobody), FETCH_FAILED, 'ECONNREFUSED');
  });

  it('the store accepts and then says nothing', async () => {
    proxy.plan = () => ({ kind: 'silence' });
    await expectInTime(push(deadline), 1, 'It was still at work on the last request.');
    await expectInTime(fetch(deadline), FETCH_FAILED, 'It was still at work on the last request.');
  });

  it('the answer stops in the middle, or trickles', async () => {
    await pushed();
    for (const fault of [
      { kind: 'stall-after', bytes: 100_000 },
      { kind: 'trickle', bytes: 100, everyMs: 50 },
    ] as const) {
      proxy.plan = () => fault;
      await expectInTime(fetch(deadline), FETCH_FAILED, 'deadline');
    }
  });

  it('the store always says that it is busy', async () => {
    proxy.plan = () => ({ kind: 'answer', status: 503, code: 'SlowDown', headers: { 'retry-after': '60' } });
    await expectInTime(push(deadline), 1, 'SlowDown');
  });

  it('the service that gives credentials says nothing', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const identity = join(folder, 'identity');
    writeFileSync(identity, 'identity');
    const role = {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_WEB_IDENTITY_TOKEN_FILE: identity,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/archiver',
      AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    };
    await expectInTime(push({ ...deadline, ...role }), 1, 'deadline');
    silent.close();
  });
});

describe('a command that is stopped in the middle of a request', () => {
  const stopped = async (signal: 'SIGTERM' | 'SIGINT', words: string[]) => {
    proxy.plan = () => ({ kind: 'silence' });
    const before = proxy.done.requests;
    const running = startProgram(words, { environment: environment({}) });
    await poll('the request', () => proxy.done.requests > before);
    running.child.kill(signal);
    const { status, stderr } = await running.finished;
    expect(stderr).toContain(`MSG: interrupted by ${signal}`);
    return status;
  };

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('by %s leaves nothing behind', async (signal, status) => {
    // Above 125 PostgreSQL's archiver would take it for its own end.
    expect(await stopped(signal, ['wal-push', join(folder, SEGMENT)])).toBe(1);
    expect(await stopped(signal, ['wal-fetch', '-p', '0', SEGMENT, target()])).toBe(status);
    expect(server.bucket.keys()).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual([SEGMENT, 'archive_status']);
  });

  it.each(['backup-list', 'wal-verify', 'delete retain 3'])(
    '%s: an interruption is no answer of the store',
    async (words) => {
      expect(await stopped('SIGTERM', words.split(' '))).toBe(143);
    },
  );
});

describe('a store that is poor', () => {
  it('in everything still keeps segments, and never lets one be replaced', async () => {
    server.habits = {
      ...AMAZON,
      conditionalPut: 'ignored',
      etag: 'empty',
      putNeedsMd5: true,
      errorCodes: false,
    };
    const unknown = { WALE_S3_CONDITIONAL_PUT: '' };
    await pushed(unknown);
    expect((await fetch(unknown)).status).toBe(0);
    expect(readFileSync(target()).equals(BYTES)).toBe(true);
    const before = server.bucket.get(KEY);
    writeFileSync(join(folder, SEGMENT), segmentBytes(SEGMENT, 1024 * 1024, 2));
    expect((await push(unknown)).status).toBe(1);
    expect(server.bucket.get(KEY)).toBe(before);
  });
});
