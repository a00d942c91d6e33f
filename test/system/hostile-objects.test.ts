/** Whatever lies in the archive under the name of a WAL file: wal-fetch brings that file, or stops the recovery. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeLzop } from '../../src/codec/encoder.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { logEntries, runProgram } from '../harness/program.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { type HeadOptions, segmentBytes, segmentHead } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAME = '000000020000000000000003';
const HISTORY = '00000002.history';
const SYSTEM = 7_000_000_000_000_000_001n;

let dataDirectory: string;
let tree: string;
let environment: Record<string, string>;

beforeAll(() => {
  const scratch = createScratch();
  dataDirectory = join(scratch, 'data');
  tree = join(scratch, 'archive', 'wal_005');
  for (const folder of ['pg_wal', 'global']) mkdirSync(join(dataDirectory, folder), { recursive: true });
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, 'another.lzo'), '');
  writeFileSync(join(dataDirectory, 'recovery.signal'), '');
  const control = Buffer.alloc(8192);
  control.writeBigUInt64LE(SYSTEM);
  writeFileSync(join(dataDirectory, 'global', 'pg_control'), control);
  environment = { WALE_FILE_PREFIX: `file://localhost${join(scratch, 'archive')}` };
});

beforeEach(() => {
  for (const path of [join(dataDirectory, 'pg_wal', 'RECOVERYXLOG'), objectOf(NAME), objectOf(HISTORY)])
    rmSync(path, { recursive: true, force: true });
});

async function lzop(...content: readonly Uint8Array[]): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of encodeLzop(content, { mode: 0, mtimeSeconds: 0 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const segment = (options: HeadOptions = {}, name = NAME, size = MB) =>
  segmentBytes(name, size, 1, { systemIdentifier: SYSTEM, ...options });
const whole = () => lzop(segment());
const objectOf = (name: string) => join(tree, `${name}.lzo`);

/** What is put in the place of the object, and what the message says about it. */
const CASES: [string, RegExp, () => Buffer | Promise<Buffer>][] = [
  ['another segment', /its header says 0\/400000/, () => lzop(segment({}, '000000020000000000000004'))],
  [
    'a segment of another system',
    /belongs to another database system/,
    () => lzop(segment({ systemIdentifier: 1n })),
  ],
  ['a segment of a newer timeline', /says timeline 3, which is newer/, () => lzop(segment({ timeline: 3 }))],
  [
    'a segment that says another size',
    /By its name|its header says/,
    () => lzop(segmentHead(NAME, 16 * MB), segment().subarray(8192)),
  ],
  ['half a segment', /It has 524288 bytes/, () => lzop(segment().subarray(0, MB / 2))],
  ['less than a page header', /does not start with the header/, () => lzop(segment().subarray(0, 39))],
  ['a segment with a byte more', /has more than 1048576 bytes/, () => lzop(segment(), Buffer.of(0))],
  [
    'a segment with a hundred megabytes more',
    /has more than 1048576 bytes/,
    () => lzop(segment(), Buffer.alloc(100 * MB)),
  ],
  ['zeros of the right length', /does not start with the header/, () => lzop(Buffer.alloc(MB))],
  ['noise of the right length', /does not start with the header/, () => lzop(seededBytes(MB, 7))],
  ['nothing, compressed', /It has 0 bytes/, () => lzop()],
  ['nothing', /MSG: /, () => Buffer.alloc(0)],
  ['zeros', /MSG: /, () => Buffer.alloc(4096)],
  ['noise', /MSG: /, () => Buffer.from(seededBytes(100_000, 3))],
  ['a page of a web server', /MSG: /, () => Buffer.from('<html><body>404 Not Found</body></html>')],
  ['the segment itself, not compressed', /MSG: /, () => segment()],
  ['the segment by gzip', /MSG: /, () => gzipSync(segment())],
  ['two of it', /after the end marker|follows/, async () => Buffer.concat([await whole(), await whole()])],
  ['all of it but the last byte', /MSG: /, async () => (await whole()).subarray(0, -1)],
  ['all of it but the end marker', /MSG: /, async () => (await whole()).subarray(0, -4)],
  ['half of it', /MSG: /, async () => (await whole()).subarray(0, 200_000)],
  ['its first bytes', /MSG: /, async () => (await whole()).subarray(0, 20)],
  ['it with a changed bit', /MSG: /, async () => flipped(await whole(), 150_000)],
];

const HISTORIES: [string, () => Promise<Buffer>][] = [
  ['nothing', () => lzop()],
  ['zeros', () => lzop(Buffer.alloc(100))],
  ['megabytes of text', () => lzop(Buffer.alloc(3 * MB, 'x'))],
];

function flipped(object: Buffer, at: number): Buffer {
  object.writeUInt8(object.readUInt8(at) ^ 4, at);
  return object;
}

function fetch(name: string, more: Readonly<Record<string, string>> = {}) {
  const words = ['wal-fetch', '-p', '8', name, 'pg_wal/RECOVERYXLOG'];
  return runProgram(words, { cwd: dataDirectory, environment: { ...environment, ...more } });
}

async function expectStopped(
  name: string,
  word: RegExp,
  more?: Readonly<Record<string, string>>,
): Promise<void> {
  const { status, stderr } = await fetch(name, more);
  expect(status, stderr).toBe(200);
  expect(logEntries(stderr).at(-1)?.level).toBe('ERROR');
  expect(stderr).toMatch(word);
  const left = readdirSync(join(dataDirectory, 'pg_wal'), { recursive: true, encoding: 'utf8' });
  expect(left.filter((path) => path.includes(name) || path.includes('RECOVERY'))).toEqual([]);
}

describe('wal-fetch in archive recovery, of an object that is', () => {
  it.each(CASES)('%s', async (_, word, make) => {
    writeFileSync(objectOf(NAME), await make());
    await expectStopped(NAME, word);
  });

  it.each(HISTORIES)('a history of %s', async (_, make) => {
    writeFileSync(objectOf(HISTORY), await make());
    await expectStopped(HISTORY, /MSG: /);
  });

  it.each<[string, (path: string) => void]>([
    ['a folder', (path) => mkdirSync(path)],
    ['a named pipe', (path) => execFileSync('mkfifo', [path])],
    ['a link that leads nowhere', (path) => symlinkSync('/nowhere/at/all', path)],
    ['a link to itself', (path) => symlinkSync(path, path)],
  ])('%s', async (_, make) => {
    make(objectOf(NAME));
    await expectStopped(NAME, /MSG: /);
  });

  it('whole: then it is there', async () => {
    writeFileSync(objectOf(NAME), await whole());
    const { status, stderr } = await fetch(NAME);
    expect(status, stderr).toBe(0);
    const fetched = join(dataDirectory, 'pg_wal', 'RECOVERYXLOG');
    expect(readFileSync(fetched).equals(segment())).toBe(true);
  });

  it('not there: only then the archive is at its end', async () => {
    expect((await fetch(NAME)).status).toBe(1);
    expect(existsSync(join(dataDirectory, 'pg_wal', 'RECOVERYXLOG'))).toBe(false);
  });
});

describe.runIf(hasGpg())('wal-fetch in archive recovery, of an encrypted object', () => {
  const keyrings: Keyring[] = [];
  const keyring = (content: 'secret' | 'empty') => {
    const made = createKeyring(content);
    keyrings.push(made);
    return made;
  };
  let owner: Keyring;
  let encrypted: Buffer;

  beforeAll(async () => {
    owner = keyring('secret');
    encrypted = owner.gpg(['-e', '-z', '0', '-r', GOLDEN_KEY], await whole());
  });
  afterAll(() => {
    for (const { dispose } of keyrings) dispose();
  });

  it('without its key', async () => {
    writeFileSync(objectOf(NAME), encrypted);
    await expectStopped(NAME, /gpg could not decrypt/, { GNUPGHOME: keyring('empty').home });
  });

  it.each<[string, (object: Buffer) => Buffer]>([
    ['cut', (object) => object.subarray(0, object.length / 2)],
    ['of which the last byte is missing', (object) => object.subarray(0, -1)],
    ['with a changed bit', (object) => flipped(object, object.length - 5000)],
    ['which is empty inside', () => owner.gpg(['-e', '-z', '0', '-r', GOLDEN_KEY], '')],
    ['which is encrypted twice', (object) => owner.gpg(['-e', '-z', '0', '-r', GOLDEN_KEY], object)],
  ])('%s', async (_, spoil) => {
    writeFileSync(objectOf(NAME), spoil(Buffer.from(encrypted)));
    await expectStopped(NAME, /MSG: /, { GNUPGHOME: owner.home });
  });
});
