/** delete and wal-verify on S3, as an operator runs them: what reaches the store, in which order, and what it refuses. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { backupOf, segmentAt } from '../archive/backups.ts';
import { logEntries, type ProgramResult, runProgram, startProgram } from '../harness/program.ts';
import { seededRandom } from '../harness/random.ts';
import { md5 } from '../harness/s3/bucket.ts';
import { elementOf, type Received } from '../harness/s3/request.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';

const PREFIX = 'some/prefix/';
const DAY = 86_400_000;
const LAST = 1300;
/** No deletion of these backups makes fewer. */
const REQUESTS = 20;
const SEED = Number(process.env.WALE_DELETE_SEED ?? 20_261_121);
/** The content of all WAL files here: it is their number that costs the test its time. */
const WAL = 'x'.repeat(100_000);
const WAL_BODY = [Buffer.from(WAL)];
const WAL_ETAG = md5(WAL_BODY);

let server: S3Server;
let environment: Record<string, string>;

beforeEach(async () => {
  server = await createS3Server();
  environment = {
    ...testEnvironment(server.url),
    WALE_S3_PREFIX: `s3://${TEST_BUCKET}/${PREFIX.slice(0, -1)}`,
    WALE_RETRIES: '3',
  };
  fill();
});
afterEach(() => server.close());

function put(key: string, text?: string, ageDays?: number, headers?: Record<string, string>): void {
  putAt(PREFIX + key, text, ageDays, headers);
}

/** `path`: in the bucket. */
function putAt(path: string, text = 'x', ageDays = 30, headers: Record<string, string> = {}): void {
  const body = text === WAL ? WAL_BODY : [Buffer.from(text)];
  const modified = new Date(Date.now() - ageDays * DAY);
  server.bucket.set(path, {
    body,
    size: text.length,
    etag: text === WAL ? WAL_ETAG : md5(body),
    modified,
    contentType: 'application/octet-stream',
    headers,
  });
}

/** Backups at 10, 650 and 1250, all WAL from 1 on, and an older backup that was never completed. */
function fill(): void {
  for (const [at, start] of [10, 650, 1250].entries()) {
    const { name, reading } = backupOf({ start, at: Date.now() - (40 - at) * DAY, system: '7' });
    put(versionKey(name), 'PostgreSQL 18');
    put(partKey(name, 0), 'x'.repeat(100));
    if (reading.kind === 'read') put(sentinelKey(name), writeSentinel(reading.sentinel));
  }
  put(versionKey(backupOf({ start: 5 }).name), 'PostgreSQL 18');
  for (let index = 1; index <= LAST; index += 1) put(walKey(segmentAt(1, index)), WAL);
}

const keys = () => server.bucket.keys().map((key) => key.slice(PREFIX.length));
const segments = () => keys().filter((key) => key.startsWith('wal_005/')).length;
const run = (...args: string[]): Promise<ProgramResult> => runProgram(args, { environment });

const isDeletion = ({ method, query }: Received) => method === 'POST' && query.has('delete');

function keysIn({ body }: Received): string[] {
  const document = Buffer.concat(body).toString();
  return [...document.matchAll(/<Object>(.*?)<\/Object>/gs)].map(([, object = '']) =>
    (elementOf(object, 'Key') ?? '').slice(PREFIX.length),
  );
}

/** The keys of each DeleteObjects, in the order in which they came. */
function watchDeletions(): string[][] {
  const batches: string[][] = [];
  server.intercept = (request) => {
    if (isDeletion(request)) batches.push(keysIn(request));
    return undefined;
  };
  return batches;
}

function upload(key: string, ageDays: number): void {
  const id = `upload-${key}-${ageDays}`;
  const started = new Date(Date.now() - ageDays * DAY);
  server.bucket.uploads.set(id, {
    id,
    key: PREFIX + key,
    started,
    contentType: 'x',
    headers: {},
    checksum: undefined,
    parts: new Map(),
  });
}

const uploads = () => [...server.bucket.uploads.values()].map(({ key }) => key.slice(PREFIX.length)).sort();

describe('delete on S3', () => {
  it('without --confirm changes nothing, with both flags neither, and tells each key', async () => {
    const before = keys();
    for (const flags of [[], ['-n', '--confirm']]) {
      server.forgetLog();
      const { status, stdout, stderr } = await run('delete', ...flags, 'retain', '2');
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(/^delete {2}base_00000001000000000000000A_00000040 /m);
      expect(stdout).toContain('Would be deleted: 2 backups, 649 WAL files: 653 objects');
      const told = logEntries(stderr).filter(({ message }) => /^deleting (?!data)/.test(message));
      expect(told).toHaveLength(653);
      expect(new Set(told.map(({ hint }) => hint))).toEqual(
        new Set(['This is only a dry run -- no actual data is being deleted']),
      );
      expect(server.log.filter((line) => !/^(GET|HEAD) /.test(line))).toEqual([]);
    }
    expect(keys()).toEqual(before);
  });

  it('with --confirm deletes in batches of at most 1000: sentinels, then their parts, then WAL', async () => {
    const batches = watchDeletions();
    const { status, stdout, stderr } = await run('delete', '--confirm', 'retain', '1');
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('Deleted 1256 objects.');
    expect(segments()).toBe(LAST - 1249);
    expect(keys().filter((key) => key.startsWith('basebackups_005/'))).toHaveLength(3);
    const kinds = batches.map((batch) => [
      ...new Set(batch.map((key) => key.replace(/base_\w{33}|[0-9A-F]{24}/, ''))),
    ]);
    expect(kinds.slice(0, 3)).toEqual([
      ['basebackups_005/_backup_stop_sentinel.json'],
      ['basebackups_005//extended_version.txt', 'basebackups_005//tar_partitions/part_00000000.tar.lzo'],
      ['basebackups_005//extended_version.txt'],
    ]);
    const sizes = batches.map(({ length }) => length);
    expect(sizes.slice(3, -1).sort()).toEqual([1000, 249]);
    expect(batches.at(-1)).toEqual([expect.stringMatching(/^wale_delete_/)]);
    expect(keys().filter((key) => key.startsWith('wale_delete_'))).toEqual([]);
    const again = JSON.parse((await run('delete', '--json', '--confirm', 'retain', '1')).stdout);
    expect(again.result).toEqual({ deleted: 0, failed: 0, failures: [] });
  });

  it('counts what lies beside the trees, with few requests, and leaves it', async () => {
    const beside = Array.from({ length: 1500 }, (_, i) => `other/${i}`);
    for (const key of [...beside, 'z', 'wal_004/x', 'cluster/basebackups_005/x']) put(key);
    for (let index = 1; index <= 2500; index += 1) put(`cluster/wal_005/${index}`);
    putAt('some/prefixed/x');
    const table = await run('--terse', 'delete', 'retain', '2');
    expect(table.stdout).toContain(
      'Left alone: 1501 objects that WAL-E does not know, 1501 of them beside its two trees\n' +
        'Left alone, not counted: 1 other archive under this prefix: cluster/\n' +
        'Left alone, not counted: older layouts, which old-versions deletes: wal_004/\n',
    );
    server.forgetLog();
    const before = keys().filter((key) => !/^(wal|basebackups)_005/.test(key));
    const { status, stdout, stderr } = await run('delete', '--json', '--confirm', 'retain', '2');
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      unknownObjects: 1501,
      beside: {
        objects: 1501,
        bytes: 1501,
        counted: 'all',
        otherArchives: ['cluster/'],
        olderLayouts: ['wal_004/'],
      },
    });
    // Six thousand keys: the first page, one behind the other archive, and one behind our own segments.
    const whole = server.log.filter((line) => line.includes(`prefix=${encodeURIComponent(PREFIX)}&`));
    expect(whole.length, whole.join('\n')).toBeLessThanOrEqual(5);
    expect(keys().filter((key) => !/^(wal|basebackups)_005/.test(key))).toEqual(before);
  });

  it('says where the bucket keeps versions that nothing becomes free, and asks for no right to learn it', async () => {
    server.policy = [
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:ListBucket', 's3:ListBucketMultipartUploads'],
        Resource: '*',
      },
    ];
    const words = 'The bucket keeps versions: what is deleted stays there as older versions';
    const isSaid = async () => (await run('--terse', 'delete', 'retain', '2')).stdout.includes(words);
    expect(await isSaid()).toBe(false);
    const { name, reading } = backupOf({ start: 10, at: Date.now() - 40 * DAY, system: '7' });
    const text = reading.kind === 'read' ? writeSentinel(reading.sentinel) : '';
    // Stored while versioning was off.
    put(sentinelKey(name), text, 30, { 'x-amz-version-id': 'null' });
    expect(await isSaid()).toBe(false);
    put(sentinelKey(name), text, 30, { 'x-amz-version-id': '3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY' });
    const { stdout } = await run('--terse', 'delete', '--json', 'retain', '2');
    expect(JSON.parse(stdout)).toMatchObject({ keepsVersions: true });
    for (const key of [sentinelKey(name), versionKey(name), partKey(name, 0)])
      server.bucket.delete(PREFIX + key);
    put(walKey(segmentAt(1, 649)), 'x', 30, { 'x-amz-version-id': '2' });
    expect(await isSaid()).toBe(true);
  });

  it('reports the keys that the store refuses one by one, deletes the rest, and exits 1; later it finishes', async () => {
    const held = [walKey(segmentAt(1, 77)), walKey(segmentAt(1, 600))];
    const allowed = { Effect: 'Allow', Action: 's3:*', Resource: '*' } as const;
    server.policy = [
      allowed,
      {
        Effect: 'Deny',
        Action: 's3:DeleteObject',
        Resource: held.map((key) => `arn:aws:s3:::${TEST_BUCKET}/${PREFIX}${key}`),
      },
    ];
    const { status, stdout, stderr } = await run('--terse', 'delete', '--json', '--confirm', 'retain', '2');
    expect(status).toBe(1);
    expect(logEntries(stderr).map(({ message }) => message)).toEqual(['Some keys were not deleted']);
    const { result } = JSON.parse(stdout);
    expect(result).toMatchObject({ deleted: 651, failed: 2 });
    expect(result.failures.map(({ key }: { key: string }) => key).sort()).toEqual(held);
    expect(result.failures[0].reason).toContain('AccessDenied');
    expect(keys().filter((key) => key < walKey(segmentAt(1, 650)) && key.startsWith('wal_005/'))).toEqual(
      held,
    );
    server.policy = undefined;
    expect((await run('delete', '--confirm', 'retain', '2')).stdout).toContain('Deleted 2 objects.');
    expect(segments()).toBe(LAST - 649);
  });

  it('keeps a backup whole whose sentinel may not be deleted', async () => {
    const { name } = backupOf({ start: 10 });
    server.policy = [
      { Effect: 'Allow', Action: 's3:*', Resource: '*' },
      { Effect: 'Deny', Action: 's3:DeleteObject', Resource: `*/${sentinelKey(name)}` },
    ];
    expect((await run('--terse', 'delete', '--confirm', 'retain', '1')).status).toBe(1);
    expect(keys().filter((key) => key.includes(name))).toHaveLength(3);
    expect(segments()).toBe(LAST - 9);
    const verified = await run('--terse', 'wal-verify', '--json');
    expect(verified.status, verified.stdout).toBe(0);
  });

  it('that may delete nothing says so, and nothing is lost', async () => {
    const before = keys();
    server.policy = [
      { Effect: 'Allow', Action: 's3:*', Resource: '*' },
      { Effect: 'Deny', Action: 's3:DeleteObject', Resource: '*' },
    ];
    const { status, stdout } = await run('--terse', 'delete', '--confirm', 'retain', '1');
    expect(status).toBe(1);
    expect(stdout).toContain('AccessDenied');
    expect(keys().filter((key) => !key.startsWith('wale_delete_'))).toEqual(before);
    server.policy = undefined;
    server.intercept = (request) =>
      isDeletion(request) || request.method === 'DELETE' ? { status: 403 } : undefined;
    const refused = await run('--terse', 'delete', '--confirm', 'retain', '1');
    expect(refused.status).toBe(1);
    expect(refused.stdout).toMatch(/^Not deleted: /m);
    server.intercept = undefined;
    expect((await run('--terse', 'delete', '--confirm', 'retain', '1')).status).toBe(0);
    expect(keys().filter((key) => key.startsWith('wale_delete_'))).toEqual([]);
  });

  it('asks again when the store is busy', async () => {
    let busy = 2;
    server.intercept = (request) => {
      if (!isDeletion(request) || busy === 0) return undefined;
      busy -= 1;
      return { status: 503 };
    };
    const { status, stderr } = await run('delete', '--confirm', 'retain', '2');
    expect(status, stderr).toBe(0);
    expect(segments()).toBe(LAST - 649);
  });

  it('that is killed at any of its deletions leaves nothing broken, and is finished by the next', async () => {
    for (const fatal of [1, 2, 5]) {
      fill();
      let seen = 0;
      const running = startProgram(['--terse', 'delete', '--confirm', 'retain', '1'], { environment });
      server.intercept = (request) => {
        if (!isDeletion(request)) return undefined;
        seen += 1;
        // Before this one is carried out, or behind the last.
        if (seen >= fatal) running.child.kill('SIGKILL');
        return seen >= fatal ? { status: 503 } : undefined;
      };
      expect((await running.finished).status).toBeNull();
      server.intercept = undefined;
      const { backups } = JSON.parse((await run('--terse', 'wal-verify', '--json')).stdout);
      expect(backups.map(({ state }: { state: string }) => state)).toEqual(backups.map(() => 'ok'));
      const { status, stderr } = await run('--terse', 'delete', '--confirm', 'retain', '1');
      expect(status, stderr).toBe(0);
      expect(keys().filter((key) => !key.startsWith('wal_005/'))).toHaveLength(3);
      expect(segments()).toBe(LAST - 1249);
    }
  });

  it('that is killed at random moments leaves nothing broken, and is finished by the next', async () => {
    console.info(`seed ${SEED}`);
    const random = seededRandom(SEED);
    let kills = 0;
    for (let round = 0; round < 4; round += 1) {
      fill();
      // Of the requests that it makes, some two dozen; what the last of them asks for is done, or is not.
      let left = Math.floor(random() * REQUESTS);
      const isDone = random() < 0.5;
      const running = startProgram(['--terse', 'delete', '--confirm', 'retain', '1'], { environment });
      server.intercept = () => {
        left -= 1;
        if (left >= 0) return undefined;
        running.child.kill('SIGKILL');
        return isDone ? undefined : { status: 503 };
      };
      if ((await running.finished).status === null) kills += 1;
      server.intercept = undefined;
      const { backups } = JSON.parse((await run('--terse', 'wal-verify', '--json')).stdout);
      expect(backups.map(({ state }: { state: string }) => state)).toEqual(backups.map(() => 'ok'));
      const { status, stderr } = await run('--terse', 'delete', '--confirm', 'retain', '1');
      expect(status, stderr).toBe(0);
      expect(keys().filter((key) => !key.startsWith('wal_005/'))).toHaveLength(3);
      expect(segments()).toBe(LAST - 1249);
    }
    expect(kills).toBe(4);
  });

  it('deletes keys with odd names with everything, and nothing of a prefix with a longer name', async () => {
    const odd = [
      'a b',
      'a+b',
      'a%2Fb',
      '\u00e4\u{1f600}',
      `&<>"'`,
      'line\nfeed',
      'folder/',
      '/double//slash',
    ];
    for (const key of odd) {
      put(`wal_005/${key}`);
      put(`basebackups_005/${key}`);
    }
    putAt('some/prefixed/wal_005/x');
    const { status, stderr } = await run('--terse', 'delete', '--confirm', '--json', 'everything');
    expect(status, stderr).toBe(0);
    expect(server.bucket.keys()).toEqual(['some/prefixed/wal_005/x']);
  });
});

describe('incomplete multipart uploads', () => {
  const young = partKey(backupOf({ start: 1290 }).name, 0);
  const old = [partKey(backupOf({ start: 10 }).name, 3), walKey(segmentAt(1, 1299))];

  beforeEach(() => {
    for (const key of old) upload(key, 8);
    upload(young, 1);
    upload('basebackups_003/x', 8);
    upload('somewhere/else', 100);
  });

  it.each([
    ['everything', ['everything'], [young, 'basebackups_003/x']],
    ['old-versions', ['old-versions'], [...old, young]],
    ['an age of 12 hours', ['retain', '3', '--orphans-older-than', '12h'], ['basebackups_003/x']],
  ])(
    'that are old are listed in a dry run and aborted, young ones are left: %s',
    async (_title, args, left) => {
      const before = uploads();
      const dry = await run('delete', ...args);
      const told = logEntries(dry.stderr).filter(({ message }) =>
        message.includes('the remains of an interrupted upload'),
      );
      expect(uploads()).toEqual(before);
      const { status, stderr } = await run('delete', '--confirm', ...args);
      expect(status, stderr).toBe(0);
      expect(uploads()).toEqual([...left, 'somewhere/else'].sort());
      expect(told).toHaveLength(before.length - uploads().length);
    },
  );

  it('that may not be listed are left to the bucket, and it is said', async () => {
    server.policy = [
      { Effect: 'Allow', Action: 's3:*', Resource: '*' },
      { Effect: 'Deny', Action: 's3:ListBucketMultipartUploads', Resource: '*' },
    ];
    const { status, stderr } = await run('--terse', 'delete', '--confirm', 'retain', '2');
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('interrupted uploads');
    expect(segments()).toBe(LAST - 649);
  });
});

describe('wal-verify on S3', () => {
  it('exits 0 when every backup restores to now, 1 when a segment or a part is gone, and says which', async () => {
    const good = await run('--terse', 'wal-verify', '--json');
    expect(good.status, good.stderr).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ ok: true });
    server.bucket.delete(PREFIX + walKey(segmentAt(1, 1000)));
    server.bucket.delete(PREFIX + partKey(backupOf({ start: 1250 }).name, 0));
    const { status, stdout } = await run('--terse', 'wal-verify', '--json');
    expect(status).toBe(1);
    const { backups, timelines } = JSON.parse(stdout);
    expect(backups.map(({ state }: { state: string }) => state)).toEqual(['gap', 'gap', 'broken']);
    expect(timelines[0].gaps).toEqual([
      { timeline: 1, first: segmentAt(1, 1000), last: segmentAt(1, 1000), segments: 1 },
    ]);
    expect((await run('wal-verify', '--pretty')).stdout).toContain(segmentAt(1, 1000));
  });

  it('never says that all is well when the store cannot be asked', async () => {
    server.intercept = ({ query }) => (query.has('continuation-token') ? { status: 500 } : undefined);
    const { status, stdout } = await run('wal-verify');
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
  });
});
