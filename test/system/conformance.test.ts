/** The rows of docs/conformance.md, each from the command line as a user types it. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decodeLzop } from '../../src/codec/decoder.ts';
import { encodeLzop } from '../../src/codec/encoder.ts';
import { serverAccount } from '../harness/account.ts';
import { createKeyring, GOLDEN_GPG, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { type Cluster, createCluster } from '../harness/postgres.ts';
import { logEntries, type ProgramOptions, type ProgramResult, runProgram } from '../harness/program.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { stageProgram } from '../harness/staging.ts';

const SEGMENT = '000000010000000000000003';
const NEXT = '000000010000000000000004';
const ABSENT = '000000010000000000000099';
const MB = 1024 * 1024;

let folder: string;
let archive: string;
let prefix: string;
let wal: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wale-conformance-'));
  archive = join(folder, 'archive');
  prefix = `file://localhost${archive}`;
  wal = join(folder, 'pg_wal');
  mkdirSync(join(wal, 'archive_status'), { recursive: true });
  // What fetches ahead may still be at work in it.
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

function run(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const environment = { WALE_FILE_PREFIX: prefix, ...options.environment };
  return runProgram(args, { cwd: folder, ...options, environment });
}

function bare(args: readonly string[], environment: Record<string, string> = {}): Promise<ProgramResult> {
  return runProgram(args, { environment, cwd: folder });
}

/** The one record that says what failed. */
function errorOf({ stderr }: ProgramResult) {
  const errors = logEntries(stderr).filter(({ level }) => level === 'ERROR' || level === 'CRITICAL');
  expect(errors, stderr).toHaveLength(1);
  return errors[0];
}

function messages({ stderr }: ProgramResult): string[] {
  return logEntries(stderr).map(({ message }) => message);
}

function addSegment(name = SEGMENT, seed = 1): string {
  const path = join(wal, name);
  writeFileSync(path, segmentBytes(name, MB, seed));
  return path;
}

async function plain(path: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decodeLzop(one(readFileSync(path)))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* one(chunk: Uint8Array) {
  yield chunk;
}

/** The file as lzop would have stored it. */
async function store(key: string, content: Uint8Array): Promise<void> {
  const path = join(archive, key);
  mkdirSync(dirname(path), { recursive: true });
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeLzop(one(content), { mode: 0, mtimeSeconds: 0 })) chunks.push(chunk);
  writeFileSync(path, Buffer.concat(chunks));
}

const NO_PROXY = { NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' };

describe('command line', () => {
  test('[cli-1] global options stand before the subcommand, or after it', async () => {
    for (const args of [
      ['--file-prefix', prefix, 'backup-list'],
      ['backup-list', '--file-prefix', prefix],
    ])
      expect((await bare(args)).status).toBe(0);
  });

  test('[cli-2] values are given after a blank, after "=", or joined to a short option', async () => {
    addSegment();
    for (const pool of [['--pool-size', '1'], ['--pool-size=1'], ['-p', '1'], ['-p1']])
      expect((await run(['wal-push', ...pool, `pg_wal/${SEGMENT}`])).status).toBe(0);
  });

  test('[cli-3] unambiguous beginnings of long options are taken', async () => {
    addSegment();
    expect((await run(['wal-push', '--pool', '1', `pg_wal/${SEGMENT}`])).status).toBe(0);
    const ambiguous = await bare(['--aws', 'x', 'backup-list']);
    expect(ambiguous.status).toBe(2);
    expect(ambiguous.stderr).toContain('ambiguous option');
  });

  test('[cli-4] a usage error is one line on standard error, and status 2', async () => {
    for (const args of [
      ['backup-list', '--nonsense'],
      ['wal-push'],
      ['wal-push', 'a', 'b'],
      ['wal-fetch', 'a'],
    ]) {
      const result = await run(args);
      expect(result.status).toBe(2);
      expect(result.stderr).toMatch(/^wal-e: error: .+\(.*--help\)\n$/);
      expect(result.stdout).toBe('');
    }
  });

  test('[cli-5] help is on standard output, at every level, and status 0', async () => {
    for (const args of [[], ['backup-push'], ['delete'], ['delete', 'retain']]) {
      const result = await bare([...args, '--help']);
      expect(result).toMatchObject({ status: 0, stderr: '' });
      expect(result.stdout).toContain(['wal-e', ...args].join(' '));
    }
  });

  test('[cli-6] no subcommand: the prefix is asked for first, then the subcommand', async () => {
    const nothing = await bare([]);
    expect(nothing.status).toBe(1);
    expect(errorOf(nothing)?.message).toBe('no storage prefix defined');
    const prefixed = await run([]);
    expect(prefixed.status).toBe(127);
    expect(errorOf(prefixed)).toMatchObject({
      message: 'subcommand not implemented',
      detail: 'The submitted subcommand was None.',
      hint: 'Check for typos or consult wal-e --help.',
    });
  });

  test('[cli-7] an unknown subcommand is status 127, with a guess', async () => {
    const result = await run(['wal-fecth', 'a', 'b']);
    expect(result.status).toBe(127);
    expect(errorOf(result)?.hint).toContain('wal-fetch');
  });

  test('[cli-8] version prints the version and nothing else', async () => {
    const version: string = JSON.parse(readFileSync('package.json', 'utf8')).version;
    for (const args of [['version'], ['--version']])
      expect(await bare(args)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('[cli-9] a key id and the instance profile exclude each other', async () => {
    const result = await bare(['-k', 'x', '--aws-instance-profile', 'backup-list']);
    expect(result).toMatchObject({ status: 2, stderr: expect.stringContaining('not allowed with argument') });
  });

  test('[cli-10] the options for all stores are accepted', async () => {
    const options = ['-k', 'x', '-a', 'y', '--gs-access-key-id', 'z', '--wabs-account-name', 'w'];
    expect((await run([...options, 'backup-list'])).status).toBe(0);
    const wabs = await bare(['--wabs-prefix', 'wabs://a/b', 'backup-list']);
    expect(wabs.status).toBe(1);
  });

  test('[cli-11] --confirm stands before or after the subcommand of delete', async () => {
    for (const args of [
      ['delete', '--confirm', 'everything'],
      ['delete', 'everything', '--confirm'],
    ]) {
      await store(`wal_005/${SEGMENT}.lzo`, new Uint8Array(10));
      expect((await run(args)).status).toBe(0);
      expect(existsSync(join(archive, `wal_005/${SEGMENT}.lzo`))).toBe(false);
    }
  });

  test('[cli-12] numbers that make no sense are refused at once', async () => {
    for (const args of [
      ['backup-push', '-p', '0', '/nowhere'],
      ['backup-push', '--cluster-read-rate-limit', '0', '/nowhere'],
      ['backup-fetch', '-p', '-1', '/nowhere', 'LATEST'],
      ['delete', 'retain', '0'],
      ['wal-push', '-p', 'many', 'x'],
    ]) {
      const result = await run(args);
      expect(result, args.join(' ')).toMatchObject({ status: 2, stdout: '' });
    }
  });

  test('[cli-13] delete without its subcommand is a usage error', async () => {
    const result = await run(['delete']);
    expect(result).toMatchObject({ status: 2, stderr: expect.stringContaining('retain') });
  });

  test('[cli-14] --terse leaves warnings and errors', async () => {
    addSegment();
    expect((await run(['--terse', 'wal-push', `pg_wal/${SEGMENT}`])).stderr).toBe('');
    expect(errorOf(await run(['--terse', 'backup-list', 'foo']))?.level).toBe('ERROR');
  });

  test('[cli-15] the defaults are those of the original', async () => {
    const help = async (verb: string) => (await bare([verb, '--help'])).stdout;
    expect(await help('backup-push')).toMatch(/pool-size[\s\S]*default: 4/);
    expect(await help('backup-fetch')).toMatch(/pool-size[\s\S]*default: 4/);
    expect(await help('wal-push')).toMatch(/pool-size[\s\S]*default: 32/);
    expect(await help('wal-fetch')).toMatch(/prefetch[\s\S]*default: 8/);
  });

  test('[cli-16] -n is a dry run of delete, and no option names a Swift prefix', async () => {
    await store(`wal_005/${SEGMENT}.lzo`, new Uint8Array(10));
    expect((await run(['delete', '-n', '--confirm', 'everything'])).status).toBe(0);
    expect(existsSync(join(archive, `wal_005/${SEGMENT}.lzo`))).toBe(true);
    const swift = await bare(['--swift-prefix', 'swift://a/b', 'backup-list']);
    expect(swift).toMatchObject({ status: 2, stderr: expect.stringContaining('--swift-prefix') });
  });
});

describe('variables', () => {
  const header = /^name\tlast_modified\t/;

  test('[env-1] options win over variables, file over gs, s3, swift and wabs, and empty ones do not count', async () => {
    const other = { WALE_S3_PREFIX: 's3://x/y', WALE_WABS_PREFIX: 'wabs://x/y', WALE_GS_PREFIX: 'gs://x/y' };
    expect((await run(['backup-list'], { environment: other })).stdout).toMatch(header);
    const option = await bare(['--file-prefix', prefix, 'backup-list'], {
      ...other,
      WALE_FILE_PREFIX: 'ftp://x',
    });
    expect(option.stdout).toMatch(header);
    const empty = await bare(['backup-list'], {
      WALE_GS_PREFIX: '',
      WALE_S3_PREFIX: '',
      WALE_WABS_PREFIX: '',
    });
    expect(errorOf(empty)?.message).toBe('no storage prefix defined');
    const gs = await bare(['backup-list'], { WALE_S3_PREFIX: 's3://x/y', WALE_GS_PREFIX: 'gs://x/y' });
    expect(errorOf(gs)?.message).toContain('gs');
  });

  test('[env-2] the host of a file prefix is ignored', async () => {
    addSegment();
    const path = archive.slice(1);
    await bare(['wal-push', `pg_wal/${SEGMENT}`], { WALE_FILE_PREFIX: `file://anyhost/${path}` });
    expect(existsSync(join(archive, `wal_005/${SEGMENT}.lzo`))).toBe(true);
  });

  test("[env-3] another scheme is named in the original's message", async () => {
    const result = await bare(['backup-list'], { WALE_FILE_PREFIX: 'ftp://x/y' });
    expect(result.status).toBe(1);
    expect(errorOf(result)).toMatchObject({
      message:
        'bad S3, Windows Azure Blob Storage, OpenStack Swift, Google Cloud Storage or File URL scheme passed',
      detail: 'The scheme ftp was passed when "s3", "wabs", "swift", "gs", or "file" was expected.',
    });
  });

  test('[env-4] a store that is not supported is said, with what there is', async () => {
    for (const scheme of ['wabs', 'gs', 'swift']) {
      const result = await bare(['backup-list'], {
        [`WALE_${scheme.toUpperCase()}_PREFIX`]: `${scheme}://x/y`,
      });
      expect(result.status).toBe(1);
      expect(errorOf(result)?.hint).toContain('s3://');
    }
  });

  test('[env-17] a number of retries that is none is named', async () => {
    const environment = {
      WALE_S3_PREFIX: 's3://bucket/p',
      WALE_S3_ENDPOINT: 'http+path://127.0.0.1:9',
      WALE_FILE_PREFIX: '',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      WALE_RETRIES: 'many',
    };
    const result = await bare(['backup-list'], environment);
    expect(result.status).toBeGreaterThan(0);
    expect(result.stderr).toContain('WALE_RETRIES');
  });

  test('[env-15] WALE_LOG_DESTINATION says where the log goes', async () => {
    expect((await run(['backup-list'], { environment: { WALE_LOG_DESTINATION: 'syslog' } })).stderr).toBe('');
    const both = await run(['backup-list'], { environment: { WALE_LOG_DESTINATION: 'stderr,syslog' } });
    expect(messages(both)).toContain('starting WAL-E');
    expect(messages(await run(['backup-list'], { environment: { WALE_LOG_DESTINATION: '' } }))).toContain(
      'starting WAL-E',
    );
  });

  test('[env-16] an unknown syslog facility is said, and user is used', async () => {
    const result = await run(['backup-list'], { environment: { WALE_SYSLOG_FACILITY: 'nonsense' } });
    expect(result).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('invalid syslog facility level specified\n'),
    });
    const known = await run(['backup-list'], { environment: { WALE_SYSLOG_FACILITY: 'LOCAL0' } });
    expect(known.stderr).not.toContain('invalid');
  });

  test('[env-19] nothing is staged in TMPDIR', async () => {
    addSegment();
    const temporary = join(folder, 'tmp');
    mkdirSync(temporary);
    chmodSync(temporary, 0o555);
    expect(
      (await run(['wal-push', `pg_wal/${SEGMENT}`], { environment: { TMPDIR: temporary } })).status,
    ).toBe(0);
    expect(
      (await run(['wal-push', `pg_wal/${SEGMENT}`], { environment: { TMPDIR: '/nowhere' } })).status,
    ).toBe(0);
  });

  test('[env-20] variables of other stores disturb nothing', async () => {
    const environment = {
      WABS_ACCOUNT_NAME: 'a',
      SWIFT_AUTHURL: 'b',
      GOOGLE_APPLICATION_CREDENTIALS: '/nowhere',
    };
    expect((await run(['backup-list'], { environment })).status).toBe(0);
  });
});

describe('S3 variables', () => {
  let server: S3Server;
  let environment: Record<string, string>;
  const heads: Record<string, string | string[] | undefined>[] = [];

  beforeAll(async () => {
    server = await createS3Server({
      intercept: (request) => {
        heads.push({ ...request.headers, method: request.method });
        return undefined;
      },
    });
  });
  beforeEach(() => {
    heads.length = 0;
    environment = {
      ...NO_PROXY,
      WALE_S3_PREFIX: `s3://${TEST_BUCKET}/conformance`,
      WALE_S3_ENDPOINT: `http+path://127.0.0.1:${server.port}`,
      AWS_ACCESS_KEY_ID: server.account.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.account.secretAccessKey,
    };
  });
  afterAll(() => server.close());

  const list = (changes: Record<string, string> = {}, args: readonly string[] = []) =>
    bare([...args, 'backup-list'], { ...environment, ...changes });

  test("[env-7] a key without its secret, and a secret without its key, are named in the original's words", async () => {
    const { AWS_SECRET_ACCESS_KEY: _secret, ...keyOnly } = environment;
    const noSecret = await bare(['backup-list'], keyOnly);
    expect(noSecret.status).toBe(1);
    expect(errorOf(noSecret)).toMatchObject({
      message: 'AWS Secret Key credential is required but not provided',
      hint: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
    const { AWS_ACCESS_KEY_ID: _key, ...secretOnly } = environment;
    const noKey = await bare(['backup-list'], secretOnly);
    expect(errorOf(noKey)).toMatchObject({
      message: 'AWS Access Key credential is required but not provided',
      hint: expect.stringContaining('--aws-access-key-id'),
    });
    expect((await bare(['-k', server.account.accessKeyId, 'backup-list'], secretOnly)).status).toBe(0);
  });

  test('[env-8] a session token goes with every request, under either name', async () => {
    for (const name of ['AWS_SECURITY_TOKEN', 'AWS_SESSION_TOKEN']) {
      heads.length = 0;
      await list({ [name]: 'the-token-of-this-session' });
      expect(heads[0]?.['x-amz-security-token']).toBe('the-token-of-this-session');
    }
  });

  test('[env-11] the forms of an endpoint, and what is wrong with one', async () => {
    for (const endpoint of [`http+path://127.0.0.1:${server.port}`, `http+path://127.0.0.1:${server.port}/`])
      expect((await list({ WALE_S3_ENDPOINT: endpoint })).status, endpoint).toBe(0);
    for (const [endpoint, message] of [
      ['http+foo://h', 'WALE_S3_ENDPOINT URI scheme is invalid'],
      ['http+path://u:p@h', 'WALE_S3_ENDPOINT does not support username or password'],
      ['http+path://h/x', 'WALE_S3_ENDPOINT does not support a URI path'],
      ['http+path://h?x=1', 'WALE_S3_ENDPOINT does not support query parameters'],
    ] as const) {
      const result = await list({ WALE_S3_ENDPOINT: endpoint });
      expect(result.status).toBe(1);
      expect(errorOf(result)?.message).toBe(message);
    }
  });

  test('[env-12] requests are signed with version 4, also with an endpoint', async () => {
    await list();
    expect(heads[0]?.authorization).toMatch(/^AWS4-HMAC-SHA256 /);
  });

  test('[env-13] [env-14] [arc-6] the storage class and the content types go with the puts; encryption only where it is asked for', async () => {
    addSegment();
    const push = (changes: Record<string, string>) =>
      bare(['wal-push', `pg_wal/${SEGMENT}`], { ...environment, ...changes });
    expect((await push({ WALE_S3_STORAGE_CLASS: 'STANDARD_IA' })).status).toBe(0);
    const put = heads.find(({ method }) => method === 'PUT');
    expect(put).toMatchObject({
      'x-amz-storage-class': 'STANDARD_IA',
      'content-type': 'application/octet-stream',
    });
    expect(put?.['x-amz-server-side-encryption']).toBeUndefined();
    heads.length = 0;
    await push({ WALE_S3_SSE: 'AES256', WALE_S3_PREFIX: `s3://${TEST_BUCKET}/encrypted` });
    expect(heads.find(({ method }) => method === 'PUT')?.['x-amz-server-side-encryption']).toBe('AES256');
  });

  test('[env-10] without a region requests are signed for us-east-1', async () => {
    expect((await list()).status).toBe(0);
    expect(heads[0]?.authorization).toContain('/us-east-1/s3/aws4_request');
  });

  test('[env-9] the instance profile is asked for credentials when told so', async () => {
    const { AWS_ACCESS_KEY_ID: _key, AWS_SECRET_ACCESS_KEY: _secret, ...keyless } = environment;
    for (const args of [['--aws-instance-profile'], []]) {
      const changes = {
        AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9',
        AWS_INSTANCE_PROFILE: args.length === 0 ? '1' : '',
      };
      const result = await bare([...args, 'backup-list'], { ...keyless, ...changes });
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(/instance/i);
    }
  });

  test('[env-22] AWS_INSTANCE_PROFILE is on, off, or an error that names it', async () => {
    for (const off of ['0', 'false', 'FALSE', ''])
      expect((await list({ AWS_INSTANCE_PROFILE: off })).status, off).toBe(0);
    const changes = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9' };
    for (const on of ['1', 'True'])
      expect((await list({ ...changes, AWS_INSTANCE_PROFILE: on })).stderr).toMatch(/instance/i);
    const wrong = await list({ AWS_INSTANCE_PROFILE: 'maybe' });
    expect(wrong.status).toBe(1);
    expect(errorOf(wrong)?.message).toContain('AWS_INSTANCE_PROFILE');
  });

  test('[blist-8] a bucket that is not there, or a refused key, is an error with its reason', async () => {
    for (const [changes, reason] of [
      [{ WALE_S3_PREFIX: 's3://no-such-bucket/x' }, 'NoSuchBucket'],
      [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'SignatureDoesNotMatch'],
    ] as const) {
      const result = await list(changes);
      expect(result).toMatchObject({ status: 1, stdout: '' });
      expect(errorOf(result)?.detail).toContain(reason);
    }
  });

  test('[wfetch-13] [wfetch-14] a bucket that is not there and a refusal are errors with their reason', async () => {
    const to = join(folder, 'to');
    for (const [changes, reason] of [
      [{ WALE_S3_PREFIX: 's3://no-such-bucket/x' }, 'NoSuchBucket'],
      [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'SignatureDoesNotMatch'],
    ] as const) {
      const result = await bare(['wal-fetch', '-p', '0', ABSENT, to], { ...environment, ...changes });
      expect(result.status).toBe(2);
      expect(errorOf(result)?.detail).toContain(reason);
    }
    expect(existsSync(to)).toBe(false);
  });

  test("[wfetch-3] a segment that is not in the archive: status 1, and the original's message", async () => {
    // An empty folder may be one whose mount is gone.
    await store(`wal_005/${SEGMENT}.lzo`, segmentBytes(SEGMENT, MB, 7));
    for (const settings of [environment, { WALE_FILE_PREFIX: prefix }]) {
      const result = await bare(['wal-fetch', '-p', '0', ABSENT, join(folder, 'to')], settings);
      expect(result).toMatchObject({ status: 1, stdout: '' });
      const miss = logEntries(result.stderr).find(
        ({ message }) => message === 'could no longer locate object while performing wal restore',
      );
      expect(miss?.detail).toMatch(
        /^The absolute URI that could not be located is (s3|file):\/\/.*\/wal_005\/0+1.*\.lzo\.$/,
      );
      expect(existsSync(join(folder, 'to'))).toBe(false);
    }
  });
});

describe('wal-push', () => {
  const push = (args: readonly string[] = [`pg_wal/${SEGMENT}`], options: ProgramOptions = {}) =>
    run(['wal-push', ...args], options);
  const stored = (name = SEGMENT) => join(archive, `wal_005/${name}.lzo`);

  test('[wpush-1] [arc-1] every kind of WAL file is stored under its name; other names are not WAL', async () => {
    addSegment();
    const segment = readFileSync(join(wal, SEGMENT));
    writeFileSync(join(wal, `${NEXT}.partial`), segmentBytes(NEXT, MB, 2));
    writeFileSync(join(wal, '00000002.history'), '1\t0/3000000\tno recovery target specified\n');
    writeFileSync(
      join(wal, `${SEGMENT}.00000028.backup`),
      'START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n',
    );
    for (const name of [SEGMENT, `${NEXT}.partial`, '00000002.history', `${SEGMENT}.00000028.backup`]) {
      expect((await push([`pg_wal/${name}`])).status, name).toBe(0);
      expect(existsSync(stored(name)), name).toBe(true);
    }
    writeFileSync(join(wal, 'notes.txt'), segment);
    expect((await push(['pg_wal/notes.txt'])).status).toBe(1);
    expect(existsSync(stored('notes.txt'))).toBe(false);
  });

  test('[wpush-2] [wpush-3] [wpush-12] [log-1] the records of a push, to the field', async () => {
    addSegment();
    const { stderr } = await push();
    const url = `${prefix}/wal_005/${SEGMENT}.lzo`;
    const [begin, complete, ...rest] = logEntries(stderr);
    expect(rest).toEqual([]);
    expect(begin).toMatchObject({
      logger: 'wal_e.worker.upload',
      level: 'INFO',
      message: 'begin archiving a file',
      detail: `Uploading "pg_wal/${SEGMENT}" to "${url}".`,
      structured: {
        action: 'push-wal',
        key: url,
        prefix: `${archive.slice(1)}/`,
        seg: SEGMENT,
        state: 'begin',
      },
    });
    expect(complete?.message).toBe('completed archiving to a file');
    expect(complete?.detail).toMatch(new RegExp(`^Archiving to "${url}" complete at [0-9.e+]+KiB/s\\.$`));
    expect(complete?.structured).toMatchObject({
      action: 'push-wal',
      key: url,
      seg: SEGMENT,
      state: 'complete',
    });
    expect(complete?.structured.rate).toMatch(/^[0-9.e+]+$/);
    expect(stderr).toMatch(
      /^wal_e\.worker\.upload INFO {5}MSG: begin archiving a file\n {8}DETAIL: .+\n {8}STRUCTURED: time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}-00 pid=\d+ action=push-wal key=\S+ prefix=\S+ seg=\S+ state=begin\n/,
    );
  });

  test('[arc-2] a pushed segment is an lzop file with the mode and the time of the file', async () => {
    const path = addSegment();
    chmodSync(path, 0o600);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    await push();
    const object = readFileSync(stored());
    expect(object.subarray(0, 25).toString('hex')).toBe('894c5a4f000d0a1a0a104020a0094001050300000d00008180');
    expect(object.readUInt32BE(25)).toBe(1_700_000_000);
    expect(object.readUInt32BE(38)).toBe(262144);
    expect((await plain(stored())).equals(readFileSync(path))).toBe(true);
  });

  test("[wpush-4] a file that is not there: the original's words, status 1, nothing on standard output", async () => {
    const result = await push(['pg_wal/000000010000000000000009']);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(errorOf(result)).toMatchObject({
      message: 'could not find file for wal-push',
      detail: "The operating system reported: No such file or directory 'pg_wal/000000010000000000000009'",
    });
  });

  test('[wpush-5] the same segment again is success, another one of its name is an error', async () => {
    addSegment();
    await push();
    const before = readFileSync(stored());
    expect((await push()).status).toBe(0);
    addSegment(SEGMENT, 2);
    expect((await push()).status).toBe(1);
    expect(readFileSync(stored()).equals(before)).toBe(true);
  });

  test('[wpush-6] a file that is not the segment of its name is refused', async () => {
    writeFileSync(join(wal, SEGMENT), segmentBytes(NEXT, MB, 1));
    expect((await push()).status).toBe(1);
    writeFileSync(join(wal, SEGMENT), segmentBytes(SEGMENT, MB, 1).subarray(0, MB - 1));
    expect((await push()).status).toBe(1);
    expect(existsSync(stored())).toBe(false);
  });

  test('[wpush-7] [wpush-8] a pool takes waiting segments along, a pool of one does not', async () => {
    addSegment();
    addSegment(NEXT);
    writeFileSync(join(wal, `archive_status/${NEXT}.ready`), '');
    for (const pool of ['1', '0']) expect((await push(['-p', pool, `pg_wal/${SEGMENT}`])).status).toBe(0);
    expect(existsSync(stored(NEXT))).toBe(false);
    expect((await push(['--mark-done', `pg_wal/${SEGMENT}`])).status).toBe(0);
    expect(existsSync(stored(NEXT))).toBe(true);
    expect(readdirSync(join(wal, 'archive_status'))).toEqual([`${NEXT}.done`]);
  });

  test('[wpush-9] without a status folder the file is pushed all the same', async () => {
    addSegment();
    rmSync(join(wal, 'archive_status'), { recursive: true });
    expect((await push()).status).toBe(0);
  });

  test('[wpush-10] [wpush-11] a neighbour that vanished or is bad is not marked and does not matter', async () => {
    addSegment();
    writeFileSync(join(wal, NEXT), 'this is no segment');
    const gone = '000000010000000000000005';
    for (const name of [NEXT, gone]) writeFileSync(join(wal, `archive_status/${name}.ready`), '');
    expect((await push(['--mark-done', `pg_wal/${SEGMENT}`])).status).toBe(0);
    expect(readdirSync(join(wal, 'archive_status')).sort()).toEqual([`${NEXT}.ready`, `${gone}.ready`]);
  });
});

describe('wal-fetch', () => {
  const to = () => join(folder, 'pg_wal/RECOVERYXLOG');
  const fetch = (args: readonly string[] = ['-p', '0', SEGMENT, to()], options: ProgramOptions = {}) =>
    run(['wal-fetch', ...args], options);

  test('[wfetch-1] [wfetch-2] [wfetch-7] the records of a fetch, and the bytes', async () => {
    const content = segmentBytes(SEGMENT, MB, 7);
    await store(`wal_005/${SEGMENT}.lzo`, content);
    const result = await fetch();
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(to()).equals(content)).toBe(true);
    expect(statSync(to()).mode & 0o777).toBe(0o640 & ~process.umask());
    const url = `${prefix}/wal_005/${SEGMENT}.lzo`;
    const [begin, done, complete] = logEntries(result.stderr);
    expect(begin).toMatchObject({
      message: 'begin wal restore',
      structured: {
        action: 'wal-fetch',
        key: url,
        prefix: `${archive.slice(1)}/`,
        seg: SEGMENT,
        state: 'begin',
      },
    });
    expect(done).toMatchObject({
      message: 'completed download and decompression',
      detail: `Downloaded and decompressed "${url}" to "${to()}"`,
    });
    expect(complete).toMatchObject({
      message: 'complete wal restore',
      structured: { action: 'wal-fetch', state: 'complete' },
    });
  });

  test('[wfetch-4] a failure that is not a miss is told from one, by where it happens', async () => {
    await store(`wal_005/${SEGMENT}.lzo`, new Uint8Array(100));
    const data = join(folder, 'data');
    mkdirSync(join(data, 'pg_wal'), { recursive: true });
    const inData = () => fetch(['-p', '0', SEGMENT, 'pg_wal/RECOVERYXLOG'], { cwd: data });
    expect((await fetch()).status).toBe(2);
    writeFileSync(join(data, 'recovery.signal'), '');
    expect((await inData()).status).toBe(200);
    writeFileSync(join(data, 'standby.signal'), '');
    expect((await inData()).status).toBe(1);
    rmSync(join(data, 'recovery.signal'));
    rmSync(join(data, 'standby.signal'));
    writeFileSync(join(data, 'recovery.conf'), "restore_command = 'x'\n");
    expect((await inData()).status).toBe(200);
    writeFileSync(join(data, 'recovery.conf'), "restore_command = 'x'\nstandby_mode = on\n");
    expect((await inData()).status).toBe(1);
    expect(readdirSync(join(data, 'pg_wal'))).toEqual([]);
  });

  test('[wfetch-5] [wfetch-6] a damaged object never appears, and the error names the byte', async () => {
    await store(`wal_005/${SEGMENT}.lzo`, segmentBytes(SEGMENT, MB, 7));
    const path = join(archive, `wal_005/${SEGMENT}.lzo`);
    const object = readFileSync(path);
    object[5000] = (object[5000] ?? 0) ^ 1;
    writeFileSync(path, object);
    const result = await fetch();
    expect(result.status).toBe(2);
    expect(`${errorOf(result)?.message} ${errorOf(result)?.detail}`).toMatch(/byte \d+/);
    expect(readdirSync(wal)).toEqual(['archive_status']);
  });

  test('[wfetch-8] [wfetch-9] [wfetch-11] what follows is fetched ahead, also across the end of a log, and promoted', async () => {
    const last = '0000000100000000000000FF'.replace(/FF$/, 'FE');
    const names = ['0000000100000000000000FF', '000000010000000000000100'];
    for (const name of [last, ...names]) await store(`wal_005/${name}.lzo`, segmentBytes(name, MB, 3));
    expect((await fetch(['-p', '2', last, to()])).status).toBe(0);
    const ahead = join(wal, '.wal-e/prefetch');
    const arrived = () => names.every((name) => existsSync(join(ahead, name)));
    for (let i = 0; i < 200 && !arrived(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(
      readdirSync(ahead)
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .sort(),
    ).toEqual([...names].sort());
    rmSync(join(archive, `wal_005/${names[0]}.lzo`));
    const promoted = await fetch(['-p', '2', names[0] ?? '', to()]);
    expect(promoted.status).toBe(0);
    expect(messages(promoted)).toContain('promoted prefetched wal segment');
    expect(readFileSync(to()).equals(segmentBytes(names[0] ?? '', MB, 3))).toBe(true);
  });

  test('[wfetch-10] [wfetch-18] wal-prefetch fetches one segment into the folder for prefetched ones', async () => {
    await store(`wal_005/${SEGMENT}.lzo`, segmentBytes(SEGMENT, MB, 3));
    expect((await run(['wal-prefetch', wal, SEGMENT])).status).toBe(0);
    expect(existsSync(join(wal, '.wal-e/prefetch', SEGMENT))).toBe(true);
    const miss = await run(['wal-prefetch', wal, NEXT]);
    expect(miss.status).toBe(1);
    expect(messages(miss)).toContain(`Failed to prefetch ${NEXT}`);
    expect(existsSync(join(wal, '.wal-e/prefetch', NEXT))).toBe(false);
  });

  test('[wfetch-20] a directory that holds nothing at all is a failure, not the end of the archive', async () => {
    mkdirSync(archive);
    const result = await fetch();
    expect(result.status).toBe(2);
    expect(errorOf(result)?.message).toBe('the directory of the storage prefix holds no archive');
  });

  test('[wfetch-12] history files are fetched, and nothing ahead of them', async () => {
    await store('wal_005/00000002.history.lzo', Buffer.from('1\t0/3000000\tno reason\n'));
    expect((await fetch(['00000002.history', join(wal, 'RECOVERYHISTORY')])).status).toBe(0);
    expect(readFileSync(join(wal, 'RECOVERYHISTORY'), 'utf8')).toBe('1\t0/3000000\tno reason\n');
    expect(existsSync(join(wal, '.wal-e/prefetch', '00000003.history'))).toBe(false);
  });
});

describe('lists and logs', () => {
  const HEADER =
    'name\tlast_modified\texpanded_size_bytes\twal_segment_backup_start\twal_segment_offset_backup_start\twal_segment_backup_stop\twal_segment_offset_backup_stop\r\n';
  const NAME = 'base_00000001000000000000000B_00000040';
  const withGolden = () => cpSync(join(GOLDEN_GPG, 'archive'), archive, { recursive: true });

  test('[blist-1] [blist-2] [blist-3] the columns of the original, details on request', async () => {
    withGolden();
    const time = new Date('2026-11-21T06:06:15.250Z');
    utimesSync(join(archive, `basebackups_005/${NAME}_backup_stop_sentinel.json`), time, time);
    const start = '2026-11-21T06:06:15.250Z';
    const brief = (await run(['backup-list'])).stdout;
    expect(brief).toBe(`${HEADER}${NAME}\t${start}\t\t00000001000000000000000B\t00000040\t\t\r\n`);
    const detailed = (await run(['backup-list', '--detail'])).stdout;
    expect(detailed).toBe(
      `${HEADER}${NAME}\t${start}\t9833969\t00000001000000000000000B\t00000040\t00000001000000000000000B\t00000256\r\n`,
    );
  });

  test('[blist-4] LATEST and a name select; a name that is not there gives the header', async () => {
    withGolden();
    for (const query of ['LATEST', NAME]) expect((await run(['backup-list', query])).stdout).toContain(NAME);
    const none = await run(['backup-list', 'base_00000001000000000000000C_00000040']);
    expect(none).toMatchObject({ status: 0, stdout: HEADER });
  });

  test('[blist-5] another word: the header, then the error', async () => {
    const result = await run(['backup-list', 'foo']);
    expect(result).toMatchObject({ status: 1, stdout: HEADER });
    expect(errorOf(result)).toMatchObject({
      message: 'invalid backup query submitted',
      detail: 'The submitted query operator was "foo."',
    });
  });

  test('[blist-6] nothing there gives the header', async () => {
    expect(await run(['backup-list'])).toMatchObject({ status: 0, stdout: HEADER });
  });

  test('[blist-7] backups come in the order of their names', async () => {
    const names = ['C', 'A', 'B'].map((digit) => `base_00000001000000000000000${digit}_00000040`);
    mkdirSync(join(archive, 'basebackups_005'), { recursive: true });
    for (const name of names)
      writeFileSync(join(archive, `basebackups_005/${name}_backup_stop_sentinel.json`), '{}');
    const lines = (await run(['backup-list'])).stdout.split('\r\n').slice(1, -1);
    expect(lines.map((line) => line.split('\t')[0])).toEqual(names.sort());
  });

  test('[log-2] [log-5] [log-6] the banner names the subcommand, standard output holds results only, a missing syslog is nothing', async () => {
    const list = await run(['backup-list'], { environment: { WALE_LOG_DESTINATION: 'stderr,syslog' } });
    expect(logEntries(list.stderr)[0]).toMatchObject({
      logger: 'wal_e.main',
      level: 'INFO',
      message: 'starting WAL-E',
      detail: 'The subcommand is "backup-list".',
    });
    expect(list.stderr).not.toMatch(/traceback|error/i);
    const before = await run(['delete', 'before', NAME]);
    expect(logEntries(before.stderr)[0]?.detail).toBe('The subcommand is "delete before".');
  });

  test('[log-3] an expected error is one record, and status 1', async () => {
    const result = await run(['backup-fetch', join(folder, 'data'), 'LATEST']);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(errorOf(result)).toMatchObject({ level: 'ERROR', message: 'no backups found for fetching' });
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });
});

describe('delete', () => {
  const OLD = 'base_000000010000000000000002_00000040';
  const KEPT = 'base_000000010000000000000006_00000040';
  const walName = (n: number) => `00000001000000000000000${n}`;
  const sentinel = (n: number) =>
    `{"wal_segment_backup_stop": "${walName(n)}", "wal_segment_offset_backup_stop": "00000256", "expanded_size_bytes": 1, "spec": {"base_prefix": "/data/", "tablespaces": []}}`;
  const keys = () =>
    readdirSync(archive, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(archive, name)).isFile())
      .sort();

  beforeEach(async () => {
    for (const [name, n, days] of [
      [OLD, 2, 3],
      [KEPT, 6, 1],
    ] as const) {
      await store(`basebackups_005/${name}/tar_partitions/part_00000000.tar.lzo`, new Uint8Array(10240));
      writeFileSync(join(archive, `basebackups_005/${name}/extended_version.txt`), 'PostgreSQL 14.23');
      const path = join(archive, `basebackups_005/${name}_backup_stop_sentinel.json`);
      writeFileSync(path, sentinel(n));
      const time = Date.now() / 1000 - days * 86400;
      utimesSync(path, time, time);
    }
    for (let n = 1; n < 9; n++) await store(`wal_005/${walName(n)}.lzo`, new Uint8Array(100));
    await store('wal_005/00000001.history.lzo', new Uint8Array(10));
    writeFileSync(join(archive, 'wal_005/somebody-elses'), 'x');
  });

  const deletable = () =>
    keys().filter((key) => key.includes(OLD) || /wal_005\/0+1000000000000000[1-5]\.lzo/.test(key));

  test('[del-1] [del-2] a dry run says every key and deletes none', async () => {
    const before = keys();
    for (const args of [
      ['delete', 'before', KEPT],
      ['delete', '--dry-run', '--confirm', 'before', KEPT],
    ]) {
      const result = await run(args);
      expect(result.status).toBe(0);
      expect(messages(result)).toContain('performing dry run of data deletion');
      const deletions = logEntries(result.stderr).filter(({ message }) => message.startsWith('deleting '));
      expect(deletions).toHaveLength(deletable().length);
      expect(deletions).toContainEqual(
        expect.objectContaining({
          message: 'deleting a wal file',
          detail: `The key being deleted is ${prefix}/wal_005/${walName(1)}.lzo.`,
          hint: 'This is only a dry run -- no actual data is being deleted',
        }),
      );
      const things = new Set(deletions.map(({ message }) => message));
      expect(things).toContain('deleting a base backup sentinel file');
      expect(things).toContain('deleting a extended version metadata file');
      expect(things).toContain('deleting a base backup volume');
    }
    expect(keys()).toEqual(before);
  });

  test("[del-14] retain says what it does in the original's words", async () => {
    const said = async (count: string) => messages(await run(['delete', 'retain', count]));
    expect(await said('1')).toContain('Deleting 1 oldest base backups.');
    expect(await said('2')).toContain('Retaining all 2 base backups.');
    rmSync(join(archive, `basebackups_005/${OLD}_backup_stop_sentinel.json`));
    expect(await said('2')).toContain('Retaining existing base backup.');
    rmSync(archive, { recursive: true });
    mkdirSync(archive);
    expect(await said('2')).toContain('Not deleting any data.');
  });

  test('[del-13] with --terse a deletion is silent, and a dry run shows its report', async () => {
    rmSync(join(archive, 'wal_005/somebody-elses'));
    const planned = await run(['--terse', 'delete', 'before', KEPT]);
    expect(planned).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining(OLD) });
    const done = await run(['--terse', 'delete', '--confirm', 'before', KEPT]);
    expect(done).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(deletable()).toEqual([]);
  });

  test('[del-3] [del-9] [del-10] before NAME deletes what is older and nothing else', async () => {
    const kept = keys().filter((key) => !deletable().includes(key));
    const result = await run(['delete', '--confirm', 'before', KEPT]);
    expect(result.status).toBe(0);
    expect(messages(result)).toContain('deleting data in the store');
    expect(keys()).toEqual(kept);
    expect(keys()).toContain('wal_005/somebody-elses');
    expect(keys()).toContain('wal_005/00000001.history.lzo');
  });

  test('[del-4] before SEGMENT works', async () => {
    expect((await run(['delete', '--confirm', 'before', walName(6)])).status).toBe(0);
    expect(keys()).not.toContain(`wal_005/${walName(5)}.lzo`);
    expect(keys()).toContain(`wal_005/${walName(6)}.lzo`);
  });

  test('[del-5] retain N keeps the N newest', async () => {
    expect((await run(['delete', '--confirm', 'retain', '1'])).status).toBe(0);
    expect(keys().filter((key) => key.includes(OLD))).toEqual([]);
    expect(keys().filter((key) => key.includes(KEPT))).toHaveLength(3);
  });

  test('[del-6] retain of less than one is refused', async () => {
    const before = keys();
    for (const count of ['0', '-1'])
      expect((await run(['delete', '--confirm', 'retain', count])).status).toBe(2);
    expect(keys()).toEqual(before);
  });

  test('[del-7] everything deletes all keys of the two trees, and nothing beside them', async () => {
    writeFileSync(join(archive, 'beside'), 'x');
    expect((await run(['delete', '--confirm', 'everything'])).status).toBe(0);
    expect(keys()).toEqual(['beside']);
  });

  test('[del-8] old-versions deletes the trees of earlier formats', async () => {
    mkdirSync(join(archive, 'wal_004'));
    writeFileSync(join(archive, 'wal_004/000000010000000000000001.lzo'), 'x');
    const rest = keys().filter((key) => !key.startsWith('wal_004'));
    expect((await run(['delete', '--confirm', 'old-versions'])).status).toBe(0);
    expect(keys()).toEqual(rest);
  });

  test('[del-11] the sentinel goes first', async () => {
    const result = await run(['delete', '--confirm', 'before', KEPT]);
    const things = logEntries(result.stderr)
      .map(({ message }) => message)
      .filter((message) => message.startsWith('deleting a '));
    expect(things[0]).toBe('deleting a base backup sentinel file');
  });
});

describe.runIf(hasGpg())('encryption', () => {
  let keyring: Keyring;
  let publicOnly: Keyring;
  beforeAll(() => {
    keyring = createKeyring('secret');
    publicOnly = createKeyring('public');
  });
  afterAll(() => {
    keyring.dispose();
    publicOnly.dispose();
  });
  const push = (environment: Record<string, string>, args: string[] = []) =>
    run([...args, 'wal-push', `pg_wal/${SEGMENT}`], {
      environment: { GNUPGHOME: keyring.home, ...environment },
    });
  const object = () => readFileSync(join(archive, `wal_005/${SEGMENT}.lzo`));

  test('[env-5] [arc-7] [arc-10] variable and option encrypt, the option wins, and gpg and lzop read the object', async () => {
    addSegment();
    expect(
      (await push({ WALE_GPG_KEY_ID: 'nobody@example.invalid' }, ['--gpg-key-id', GOLDEN_KEY])).status,
    ).toBe(0);
    const decrypted = keyring.gpg(['-d'], object());
    writeFileSync(join(folder, 'decrypted.lzo'), decrypted);
    expect((await plain(join(folder, 'decrypted.lzo'))).equals(readFileSync(join(wal, SEGMENT)))).toBe(true);
    if (hasLzop()) {
      const packed = execFileSync('lzop', ['-dc'], { input: decrypted, maxBuffer: 4 * MB });
      expect(packed.equals(readFileSync(join(wal, SEGMENT)))).toBe(true);
    }
    const packets = keyring.gpg(['--list-packets', '--list-only'], object()).toString();
    expect(packets).toMatch(/pubkey enc packet/);
    expect(packets).not.toMatch(/compressed packet/);
  });

  test('[env-6] an empty key means no encryption', async () => {
    addSegment();
    expect((await push({ WALE_GPG_KEY_ID: '' })).status).toBe(0);
    expect(
      (await plain(join(archive, `wal_005/${SEGMENT}.lzo`))).equals(readFileSync(join(wal, SEGMENT))),
    ).toBe(true);
  });

  test('[arc-9] plain and encrypted objects are told by their content, whatever is set', async () => {
    addSegment();
    addSegment(NEXT);
    await push({ WALE_GPG_KEY_ID: GOLDEN_KEY });
    await run(['wal-push', '-p', '1', `pg_wal/${NEXT}`]);
    for (const key of ['', GOLDEN_KEY])
      for (const name of [SEGMENT, NEXT]) {
        const environment = { GNUPGHOME: keyring.home, WALE_GPG_KEY_ID: key };
        expect((await run(['wal-fetch', '-p', '0', name, join(folder, 'to')], { environment })).status).toBe(
          0,
        );
        expect(readFileSync(join(folder, 'to')).equals(readFileSync(join(wal, name)))).toBe(true);
      }
  });

  test("[log-7] an unknown key is gpg's own message, status 1, and nothing stored", async () => {
    addSegment();
    const result = await push({ WALE_GPG_KEY_ID: 'nobody@example.invalid' });
    expect(result.status).toBe(1);
    expect(errorOf(result)?.detail).toContain('nobody@example.invalid');
    expect(existsSync(join(archive, 'wal_005'))).toBe(false);
  });

  test("[log-8] a gpg that is not installed is said in the original's words", async () => {
    addSegment();
    const result = await push({ WALE_GPG_KEY_ID: GOLDEN_KEY, PATH: '/nowhere' });
    expect(result.status).toBe(1);
    expect(errorOf(result)).toMatchObject({
      message: 'could not run one or more external programs WAL-E depends upon',
      detail: 'Could not run the following programs, are they installed? gpg',
    });
  });
});

describe('base backups', () => {
  let cluster: Cluster;
  let made: string;
  let pushed: ProgramResult;
  let name: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    made = join(createScratch(serverAccount()), 'archive');
    environment = { WALE_FILE_PREFIX: `file://localhost${made}` };
    const command = `${stageProgram()} --file-prefix ${environment.WALE_FILE_PREFIX} wal-push %p`;
    cluster = await createCluster({
      version: 16,
      segmentMb: 1,
      tablespaces: ['extra'],
      settings: { archive_mode: 'on', archive_command: command, min_wal_size: '2MB', max_wal_size: '16MB' },
    });
    await cluster.start();
    await cluster.query('CREATE TABLE t TABLESPACE extra AS SELECT generate_series(1, 100) AS n');
    environment = { ...environment, ...cluster.environment };
    pushed = await runProgram(
      ['backup-push', '--pool-size', '2', '--cluster-read-rate-limit', '1000000000', cluster.dataDirectory],
      { environment },
    );
    name = readdirSync(join(made, 'basebackups_005')).find((entry) => !entry.includes('sentinel')) ?? '';
  });
  afterAll(() => cluster.dispose());

  const object = (key: string) => join(made, 'basebackups_005', key);

  test("[bpush-1] [bpush-3] [bpush-4] [bpush-10] [bpush-12] [bpush-17] a backup has the original's objects, and the log its steps", async () => {
    expect(pushed, pushed.stderr).toMatchObject({ status: 0, stdout: '' });
    expect(name).toMatch(/^base_[0-9A-F]{24}_\d{8}$/);
    expect(existsSync(object(`${name}_backup_stop_sentinel.json`))).toBe(true);
    expect(readdirSync(object(`${name}/tar_partitions`))).toContain('part_00000000.tar.lzo');
    const said = messages(pushed);
    for (const text of [
      'start upload postgres version metadata',
      'postgres version metadata upload complete',
      'begin uploading a base backup volume',
      'finish uploading a base backup volume',
    ])
      expect(said).toContain(text);
    expect(pushed.stderr).toContain('DETAIL: The server makes a checkpoint, spread over');
  });

  test("[arc-4] the sentinel is one line in Python's style, the original's fields first", async () => {
    const text = readFileSync(object(`${name}_backup_stop_sentinel.json`), 'utf8');
    const spec = `"spec": {"base_prefix": "${cluster.dataDirectory}/", "tablespaces": ["16384"], "16384": {"loc": "${cluster.tablespaceDirectory('extra')}/", "link": "pg_tblspc/16384"}}`;
    expect(text).toMatch(
      /^\{"wal_segment_backup_stop": "[0-9A-F]{24}", "wal_segment_offset_backup_stop": "\d{8}", "expanded_size_bytes": \d+, /,
    );
    expect(text).toContain(spec);
    expect(text.slice(text.indexOf(spec) + spec.length)).toMatch(/^, "wale_js": \{.*\}\}$/);
    expect(text).not.toContain('\n');
  });

  test('[arc-5] the version is what the server says, without a newline', async () => {
    expect(readFileSync(object(`${name}/extended_version.txt`), 'utf8')).toBe(
      await cluster.value('SELECT version()'),
    );
  });

  test('[arc-3] [bpush-9] [bpush-16] a part is an lzop file with mode 0 around a tar without WAL and configuration', async () => {
    const names = new Set<string>();
    const labels: string[] = [];
    for (const part of readdirSync(object(`${name}/tar_partitions`))) {
      const bytes = readFileSync(object(`${name}/tar_partitions/${part}`));
      expect(bytes.readUInt32BE(21)).toBe(0);
      const tar = await plain(object(`${name}/tar_partitions/${part}`));
      const list = execFileSync('tar', ['-tf', '-'], { input: tar, encoding: 'utf8', maxBuffer: 16 * MB });
      for (const member of list.split('\n')) names.add(member.replace(/^\.?\//, ''));
      labels.push(...(/^LABEL: .*$/m.exec(tar.toString('latin1')) ?? []));
    }
    const time = /^LABEL: freeze_start_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
    expect(labels).toEqual([expect.stringMatching(time)]);
    for (const kept of ['global/pg_control', 'backup_label', 'PG_VERSION', 'pg_wal/', 'postgresql.auto.conf'])
      expect(names, kept).toContain(kept);
    for (const left of [
      'postgresql.conf',
      'pg_hba.conf',
      'pg_ident.conf',
      'postmaster.pid',
      'postmaster.opts',
    ])
      expect(names, left).not.toContain(left);
    expect([...names].filter((member) => /^pg_wal\/[0-9A-F]/.test(member))).toEqual([]);
    expect([...names].filter((member) => member.startsWith('pg_tblspc/16384/')).length).toBeGreaterThan(0);
  });

  test('[bpush-5] an offline backup is refused while postmaster.pid is there', async () => {
    const result = await bare(['backup-push', '--while-offline', cluster.dataDirectory], environment);
    expect(result.status).toBe(1);
    expect(errorOf(result)?.message).toBe('while_offline set, but pg looks to be running');
  });

  test('[bpush-8] a server that is not there is an error that says so', async () => {
    const result = await bare(['backup-push', cluster.dataDirectory], { ...environment, PGHOST: '/nowhere' });
    expect(result.status).toBe(1);
    expect(`${errorOf(result)?.message} ${errorOf(result)?.detail}`).toContain('/nowhere');
  });

  test('[bpush-13] [env-21] a relative data directory with doubled slashes, and a statement_timeout, do not matter', async () => {
    const folderOfData = dirname(cluster.dataDirectory);
    const result = await runProgram(['backup-push', '--fast-checkpoint', './data//'], {
      environment: {
        ...environment,
        WALE_FILE_PREFIX: environment.WALE_FILE_PREFIX ?? '',
        PGOPTIONS: '-c statement_timeout=1',
      },
      cwd: folderOfData,
    });
    expect(result.status, result.stderr).toBe(0);
    const newest = /DETAIL: (base_\w+): /.exec(result.stderr)?.[1] ?? '';
    const { spec } = JSON.parse(readFileSync(object(`${newest}_backup_stop_sentinel.json`), 'utf8'));
    expect(spec.base_prefix).toBe(`${cluster.dataDirectory}/`);
    for (const kind of readdirSync(join(made, 'basebackups_005')))
      if (kind.startsWith(newest)) rmSync(object(kind), { recursive: true });
  });

  test('[env-18] the PG variables say which server', async () => {
    const result = await bare(['backup-push', cluster.dataDirectory], {
      ...environment,
      PGUSER: 'nobody_such',
    });
    expect(errorOf(result)?.detail).toContain('nobody_such');
  });

  const target = () => join(folder, 'restored');
  const prepared = () => {
    mkdirSync(join(folder, 'restored/pg_tblspc'), { recursive: true });
    mkdirSync(join(folder, 'extra'));
    symlinkSync(join(folder, 'extra'), join(folder, 'restored/pg_tblspc/16384'));
  };
  const fetch = (args: readonly string[], backup = 'LATEST') =>
    bare(['backup-fetch', ...args, target(), backup], environment);

  test('[bfetch-1] [bfetch-5] [bfetch-9] [bfetch-10] LATEST or a name; tablespaces go where prepared links lead', async () => {
    for (const backup of ['LATEST', name]) {
      rmSync(target(), { recursive: true, force: true });
      const unprepared = await fetch([], backup);
      expect(unprepared.status).toBe(1);
      expect(errorOf(unprepared)?.message).toContain('Symlinks for some tablespaces not found or created');
      prepared();
      const result = await fetch([], backup);
      expect(result, result.stderr).toMatchObject({ status: 0 });
      expect(readdirSync(join(folder, 'extra'))).toHaveLength(1);
      const map = join(target(), 'tablespace_map');
      expect(existsSync(map) ? readFileSync(map, 'utf8') : '').not.toContain(
        cluster.tablespaceDirectory('extra'),
      );
      const part = logEntries(result.stderr).find(
        ({ message }) => message === 'beginning partition download',
      );
      expect(part?.detail).toMatch(/part_0{8}\.tar\.lzo/);
      expect(part?.hint).toContain(`basebackups_005/${name}/tar_partitions/part_`);
      rmSync(join(folder, 'extra'), { recursive: true });
    }
  });

  test('[bfetch-2] a live data directory is not overwritten', async () => {
    mkdirSync(target());
    writeFileSync(join(target(), 'postmaster.pid'), '1');
    for (const args of [[], ['--force']]) {
      const result = await fetch(args);
      expect(result.status).toBe(1);
      expect(errorOf(result)?.message).toBe('attempting to overwrite a live data directory');
    }
  });

  test('[bfetch-3] no such backup, and a word that is none', async () => {
    const none = await fetch([], 'base_0000000100000000000000FF_00000040');
    expect(none.status).toBe(1);
    expect(errorOf(none)?.message).toBe('no backups found for fetching');
    const word = await fetch([], 'yesterday');
    expect(word.status).toBe(1);
    expect(errorOf(word)?.message).toBe('invalid backup query submitted');
  });

  test('[bfetch-4] a directory with other things in it is refused without --force, which removes nothing', async () => {
    mkdirSync(target());
    writeFileSync(join(target(), 'notes.txt'), 'mine');
    expect((await fetch(['--blind-restore'])).status).toBe(1);
    expect(readdirSync(target())).toEqual(['notes.txt']);
    expect((await fetch(['--blind-restore', '--force'])).status).toBe(0);
    expect(readFileSync(join(target(), 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('[bfetch-6] [bfetch-13] a blind restore puts tablespaces into the data directory; files have their modes and times', async () => {
    expect((await fetch(['--blind-restore'])).status).toBe(0);
    const stat = statSync(join(target(), 'pg_tblspc/16384'));
    expect(stat.isDirectory()).toBe(true);
    const [own, restored] = [cluster.dataDirectory, target()].map((data) =>
      statSync(join(data, 'PG_VERSION')),
    );
    expect(restored?.mode).toBe(own?.mode);
    expect(restored?.mtimeMs).toBeCloseTo(own?.mtimeMs ?? 0, -1);
    expect(restored?.uid).toBe(own?.uid);
    expect(statSync(join(target(), 'base')).mode & 0o777).toBe(0o700);
  });

  test('[bfetch-7] [bfetch-8] a spec says where tablespaces go, the argument where the data goes', async () => {
    const spec = join(folder, 'spec.json');
    const absent = await fetch(['--restore-spec', spec]);
    expect(absent.status).toBe(1);
    expect(`${errorOf(absent)?.message} ${errorOf(absent)?.detail}`).toContain(spec);
    writeFileSync(
      spec,
      JSON.stringify({
        '16384': { loc: join(folder, 'elsewhere'), link: 'pg_tblspc/16384' },
        tablespaces: ['16384'],
      }),
    );
    const result = await fetch(['--restore-spec', spec]);
    expect(result, result.stderr).toMatchObject({ status: 0 });
    expect(readlinkSync(join(target(), 'pg_tblspc/16384')).replace(/\/$/, '')).toBe(
      join(folder, 'elsewhere'),
    );
  });

  test('[bfetch-11] LATEST is the backup that was finished last, whatever the dates of its objects', async () => {
    const second = await bare(['backup-push', cluster.dataDirectory], environment);
    expect(second.status, second.stderr).toBe(0);
    const names = (await bare(['backup-list'], environment)).stdout
      .split('\r\n')
      .slice(1, -1)
      .map((line) => line.split('\t')[0]);
    expect(names).toHaveLength(2);
    const later = new Date(Date.now() + 1000);
    utimesSync(object(`${name}_backup_stop_sentinel.json`), later, later);
    const plan = await fetch(['--dry-run', '--blind-restore']);
    const newest = names.filter((other) => other !== name)[0] ?? '';
    expect(`${plan.stdout}${plan.stderr}`).toContain(newest);
  });

  test('[bpush-6] [bpush-7] a stopped server is backed up without any program of PostgreSQL, under the name of its own segment', async () => {
    await cluster.stop('fast');
    mkdirSync(archive);
    const result = await bare(['backup-push', '--while-offline', cluster.dataDirectory], {
      WALE_FILE_PREFIX: prefix,
      PATH: '/nowhere',
    });
    expect(result, result.stderr).toMatchObject({ status: 0 });
    const [offline = ''] = readdirSync(join(archive, 'basebackups_005')).filter(
      (entry) => !entry.includes('sentinel'),
    );
    const listed = readdirSync(cluster.walDirectory);
    expect(listed).toContain(offline.slice(5, 29));
  });
});

function hasLzop(): boolean {
  try {
    execFileSync('lzop', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
