/**
 * What this program writes, beside what WAL-E 1.1.1 wrote for the same input: the data directory and the WAL files of
 * the golden archive, unpacked with lzop and GNU tar, are pushed again. Every difference must be one of those that
 * docs/format.md lists under "What differs from WAL-E".
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { controlLayout } from '../../src/postgres/control-layout.ts';
import { crc32c } from '../../src/postgres/crc32c.ts';
import { hasLzop, lzop } from '../harness/lzop.ts';
import { runProgram } from '../harness/program.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';
import { type TarMember, tarMembers } from '../harness/tar-members.ts';

const golden = fileURLToPath(new URL('../../fixtures/golden/seg1/archive', import.meta.url));
const BACKUP = 'base_00000001000000000000000B_00000040';
const VERSION = `basebackups_005/${BACKUP}/extended_version.txt`;
const PARTS = `basebackups_005/${BACKUP}/tar_partitions`;
const PART = `${PARTS}/part_00000000.tar.lzo`;
const SENTINEL = `basebackups_005/${BACKUP}_backup_stop_sentinel.json`;
const WAL = readdirSync(join(golden, 'wal_005'));

describe.runIf(hasLzop)('beside the same of WAL-E', () => {
  let folder: string;
  let ours: string;

  beforeAll(async () => {
    folder = createScratch();
    ours = join(folder, 'archive');
    unpack(folder);
    const pushed = await runProgram(['backup-push', '--while-offline', join(folder, 'data')], {
      environment: { WALE_FILE_PREFIX: `file://localhost${ours}` },
    });
    expect(pushed.status, pushed.stderr).toBe(0);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const original = () => membersOf(join(golden, PARTS));
  const again = () => membersOf(join(ours, PARTS));

  test('a base backup has the same keys, and may be cut into other parts', () => {
    const [theirs, own] = [golden, ours].map((archive) => keysOf(join(archive, 'basebackups_005')));
    const last = `${BACKUP}/tar_partitions/part_00000001.tar.lzo`;
    expect(own?.filter((key) => key !== last)).toEqual(theirs);
  });

  test('the version is text of the same kind, without a newline', () => {
    const [theirs, own] = [golden, ours].map((archive) => readFileSync(join(archive, VERSION), 'utf8'));
    // Offline nobody can be asked for SELECT version(); the original took the line of pg_config.
    expect(own).toBe('PostgreSQL 14');
    expect(theirs).toMatch(/^PostgreSQL 14\.23 on .*[^\n]$/);
  });

  test('the header of a part is the same to the byte, but for the time at which it was made', () => {
    const [theirs, own] = [golden, ours].map((archive) => headerOf(join(archive, PART), ['time']));
    expect(own).toEqual(theirs);
  });

  test('the tar has the same members but for those that PostgreSQL makes anew, and the folders of tablespaces', () => {
    const [theirs, own] = [new Set(original().keys()), new Set(again().keys())];
    const absent = [...theirs].filter((name) => !own.has(name)).sort();
    expect(absent.filter((name) => !isMadeAnew(name, theirs))).toEqual([]);
    expect(absent.length).toBeGreaterThan(3);
    expect([...own].filter((name) => !theirs.has(name)).sort()).toEqual([
      'pg_tblspc/16384/PG_14_202107181/13695/',
    ]);
  });

  test('the data directory itself comes first, and every folder before what is in it', () => {
    const names = [...again().keys()];
    expect(names[0]).toBe('');
    names.forEach((name, at) => {
      const parent = /^(.*\/)[^/]+\/?$/.exec(name)?.[1];
      const isMount = parent === undefined || parent === 'pg_tblspc/16384/';
      if (!isMount) expect(names.indexOf(parent), name).toBeLessThan(at);
    });
  });

  test('[arc-13] every member has the same headers to the byte, ustar and PAX, and the same content', () => {
    const theirs = original();
    let compared = 0;
    for (const [name, member] of again()) {
      const twin = theirs.get(name);
      if (twin === undefined) continue;
      compared += 1;
      if (name === '') expect([twin.rawName, member.rawName]).toEqual(['/', './']);
      expect(member.header(name === '' ? ['name'] : []), name).toBe(twin.header(name === '' ? ['name'] : []));
      expect([paxNames(member), paxNames(twin)], name).toEqual([['mtime'], ['mtime']]);
      expect(paxTime(member), name).toBeCloseTo(paxTime(twin), 5);
      if (name !== 'global/pg_control') expect(member.content.equals(twin.content), name).toBe(true);
    }
    expect(compared).toBeGreaterThan(350);
  });

  test('the tar ends in zeros, at a multiple of 10240 bytes', () => {
    for (const archive of [golden, ours]) {
      const tar = lzop(['-dc'], readFileSync(join(archive, PART)));
      expect(tar.length % 10240).toBe(0);
      expect(tar.subarray(-1024).every((byte) => byte === 0)).toBe(true);
    }
  });

  test('the sentinel has the same fields in the same order and of the same types, and wale_js after them', () => {
    const [theirs, own] = [golden, ours].map((archive) => readFileSync(join(archive, SENTINEL), 'utf8'));
    const { wale_js: added, ...rest } = JSON.parse(own ?? '');
    expect(typeof added).toBe('object');
    expect(own?.endsWith(`, "wale_js": ${pythonJson(added)}}`)).toBe(true);
    expect(shapeOf(`${own?.slice(0, own.indexOf(', "wale_js": '))}}`)).toBe(shapeOf(theirs));
    expect(rest.wal_segment_backup_stop).toBe('00000001000000000000000B');
    expect(rest.spec.base_prefix).toBe(`${folder}/data/`);
    expect(rest.spec['16384']).toEqual({ loc: `${folder}/ts_one/`, link: 'pg_tblspc/16384' });
    const sum = [...again().values()].reduce((total, { content }) => total + content.length, 0);
    expect(rest.expanded_size_bytes).toBe(sum);
  });

  test.each(WAL)('%s has the same header to the byte, and the same content', async (key) => {
    const source = readFileSync(join(golden, 'wal_005', key));
    const name = basename(key, '.lzo');
    const path = join(folder, 'wal', name);
    mkdirSync(join(folder, 'wal'), { recursive: true });
    const content = lzop(['-dc'], source);
    writeFileSync(path, content);
    chmodSync(path, source.readUInt32BE(21) & 0o7777);
    utimesSync(path, source.readUInt32BE(25), source.readUInt32BE(25));
    const pushed = await runProgram(['wal-push', '-p', '0', path], {
      environment: { WALE_FILE_PREFIX: `file://localhost${ours}` },
    });
    expect(pushed.status, pushed.stderr).toBe(0);
    const object = join(ours, 'wal_005', key);
    expect(headerOf(object, [])).toEqual(headerOf(join(golden, 'wal_005', key), []));
    expect(lzop(['-dc'], readFileSync(object)).equals(content)).toBe(true);
    // Blocks are of the same length, and so is how many there are; their compressed bytes are our own.
    expect(blockLengths(readFileSync(object))).toEqual(blockLengths(source));
  });

  test('[arc-14] in S3 the objects have the content types of the original, the version comes first and the sentinel last', async () => {
    const types = new Map<string, unknown>();
    const server: S3Server = await createS3Server({
      intercept: ({ method, key, headers }) => {
        if (method === 'PUT') types.set(key, headers['content-type']);
        return undefined;
      },
    });
    try {
      const { status, stderr } = await runProgram(['backup-push', '--while-offline', join(folder, 'data')], {
        environment: {
          NO_PROXY: '127.0.0.1',
          WALE_S3_PREFIX: `s3://${TEST_BUCKET}/x`,
          WALE_S3_ENDPOINT: `http+path://127.0.0.1:${server.port}`,
          AWS_ACCESS_KEY_ID: server.account.accessKeyId,
          AWS_SECRET_ACCESS_KEY: server.account.secretAccessKey,
        },
      });
      expect(status, stderr).toBe(0);
      expect(Object.fromEntries(types)).toMatchObject({
        [`x/${VERSION}`]: 'text/plain',
        [`x/${PART}`]: 'application/octet-stream',
        [`x/${SENTINEL}`]: 'application/json',
      });
      expect([...types.keys()].slice(0, 1)).toEqual([`x/${VERSION}`]);
      expect([...types.keys()].at(-1)).toBe(`x/${SENTINEL}`);
    } finally {
      await server.close();
    }
  });
});

/** Rows "unlogged relations, caches…" and "backup_label…" of the table in docs/format.md. */
function isMadeAnew(name: string, all: ReadonlySet<string>): boolean {
  const [, relation] = /^(.*\/\d+)(?:_fsm|_vm)?$/.exec(name) ?? [];
  const unlogged = relation !== undefined && all.has(`${relation}_init`);
  return (
    unlogged || /(^|\/)pg_internal\.init$|^pg_(notify|subtrans)\/.|^(backup_label|tablespace_map)$/.test(name)
  );
}

/** The data directory as the original saw it, but for the state in its control file: a stopped server's. */
function unpack(folder: string): void {
  const data = join(folder, 'data');
  const link = join(data, 'pg_tblspc', '16384');
  for (const path of [data, join(data, 'pg_tblspc'), join(folder, 'ts_one')]) mkdirSync(path);
  execFileSync('ln', ['-s', join(folder, 'ts_one'), link]);
  execFileSync('tar', ['-xpf', '-', '--numeric-owner', '--keep-directory-symlink', '-C', data], {
    input: lzop(['-dc'], readFileSync(join(golden, PART))),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const path = join(data, 'global/pg_control');
  const { atimeMs, mtimeMs } = statSync(path);
  const bytes = readFileSync(path);
  const layout = controlLayout(1300);
  const crcAt = layout.get('crc') ?? 0;
  bytes.writeUInt32LE(1, layout.get('state') ?? 0);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, crcAt)), crcAt);
  writeFileSync(path, bytes);
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}

function membersOf(parts: string): Map<string, TarMember> {
  const tars = readdirSync(parts)
    .sort()
    .map((part) => lzop(['-dc'], readFileSync(join(parts, part))));
  const members = tars.flatMap(tarMembers);
  return new Map(members.map((member) => [member.rawName.replace(/^\.?\//, ''), member]));
}

function paxNames({ pax }: TarMember): string[] {
  return pax.map((record) => record.replace(/^\d+ /, '').replace(/=.*/, ''));
}

/** Seconds. Some file systems that tests run on keep microseconds only. */
function paxTime({ pax }: TarMember): number {
  return Number(/mtime=(.*)/.exec(pax.join())?.[1]);
}

function keysOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

/** The 38 bytes before the first block, in hex; `time` leaves out mtime and the checksum over it. */
function headerOf(object: string, without: readonly 'time'[]): string {
  const bytes = readFileSync(object).subarray(0, 38);
  if (without.includes('time')) for (const at of [25, 34]) bytes.fill(0, at, at + 4);
  return bytes.toString('hex');
}

function blockLengths(object: Buffer): number[] {
  const lengths = [];
  for (let at = 38; object.readUInt32BE(at) !== 0; at += 12 + object.readUInt32BE(at + 4))
    lengths.push(object.readUInt32BE(at));
  return lengths;
}

/** The text with its values left out: names, order, quotes and separators stay. */
function shapeOf(sentinel = ''): string {
  return sentinel
    .replace(/"\/[^"]*\/"/g, '"PATH"')
    .replace(/"[0-9A-F]{24}"/, '"SEGMENT"')
    .replace(/"\d{8}"/, '"OFFSET"')
    .replace(/: \d+,/, ': NUMBER,');
}

/** As Python's json.dumps writes it, where no string holds a separator and no name is a number. */
function pythonJson(value: unknown): string {
  return JSON.stringify(value)
    .replace(/,(?=["{])/g, ', ')
    .replaceAll('":', '": ');
}
