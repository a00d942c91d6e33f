import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { LzopDecoder } from '../../src/codec/decoder.ts';
import { paddingAfter, type TarMember, tarHeader } from '../../src/tar/header.ts';
import { Untar } from '../../src/tar/untar.ts';
import { createScratch } from '../harness/scratch.ts';

const BACKUP = '../../fixtures/golden/seg1/archive/basebackups_005/base_00000001000000000000000B_00000040';
const END = new Uint8Array(1024);

function member(name: string, rest: Partial<TarMember> = {}): TarMember {
  return {
    ...{ kind: 'file', name: Buffer.from(name, 'utf8').toString('latin1'), mode: 0o600, uid: 26, gid: 26 },
    ...{ userName: 'postgres', groupName: 'postgres', mtimeMs: 1795242339465.971, size: 0 },
    ...rest,
  };
}

async function read(...headers: Uint8Array[]): Promise<Header[]> {
  const found: Header[] = [];
  for await (const entry of Readable.from([Buffer.concat([...headers, END])]).pipe(extract())) {
    found.push(entry.header);
    entry.resume();
  }
  return found;
}

describe('the headers of a member', () => {
  it('are those of the original, byte for byte', () => {
    const part = new URL(`${BACKUP}/tar_partitions/part_00000000.tar.lzo`, import.meta.url);
    const decoder = new LzopDecoder();
    const [first = new Uint8Array()] = decoder.push(readFileSync(part));
    const replSlot = Buffer.from(first).indexOf('pg_replslot/', 0, 'latin1');
    const original = Buffer.from(first.subarray(replSlot - 1024, replSlot + 512));
    const mtime = /mtime=([\d.]+)\n/.exec(original.toString('latin1', 512, 1024))?.[1];
    const uid = Number.parseInt(original.toString('latin1', 1024 + 108, 1024 + 115), 8);
    const gid = Number.parseInt(original.toString('latin1', 1024 + 116, 1024 + 123), 8);
    const ours = tarHeader(
      member('pg_replslot', { kind: 'directory', mode: 0o700, mtimeMs: Number(mtime) * 1000, uid, gid }),
    );
    expect(Buffer.from(ours).toString('latin1')).toBe(original.toString('latin1'));
  });

  it('name the root, folders and files so that readers take them for what they are', async () => {
    const headers = await read(
      tarHeader(member('', { kind: 'directory', mode: 0o700 })),
      tarHeader(member('base', { kind: 'directory', mode: 0o750 })),
      tarHeader(member('base/5/112')),
    );
    expect(headers.map(({ name, type, mode }) => ({ name, type, mode }))).toEqual([
      { name: './', type: 'directory', mode: 0o700 },
      { name: 'base/', type: 'directory', mode: 0o750 },
      { name: 'base/5/112', type: 'file', mode: 0o600 },
    ]);
  });

  it.each([
    ['of 100 bytes', 'x'.repeat(100)],
    ['that fits prefix and name', `${'d'.repeat(150)}/${'f'.repeat(95)}`],
    ['that fits neither', `${'d'.repeat(90)}/${'f'.repeat(200)}`],
    ['of 101 bytes without a slash', 'x'.repeat(101)],
    ['of several kilobytes', Array.from({ length: 40 }, () => 'ordner'.repeat(20)).join('/')],
    ['with spaces, quotes and line ends', 'a b\n"c"\'\\'],
    ['not in ASCII', 'Bücher/日本'],
  ])('carry a name %s', async (_, name) => {
    const [file, folder] = await read(
      tarHeader(member(name)),
      tarHeader(member(name, { kind: 'directory' })),
    );
    expect(file?.name).toBe(name);
    expect(folder?.name).toBe(`${name}/`);
  });

  it('carry sizes above 8 GiB and owners above 2 million', async () => {
    const [found] = await read(tarHeader(member('big', { size: 0, uid: 1_234_567_890, gid: 3_000_000_000 })));
    expect(found).toMatchObject({ uid: 0, pax: { uid: '1234567890', gid: '3000000000' } });
    const header = Buffer.from(tarHeader(member('big', { size: 9_000_000_000_000 })));
    expect(header.toString('latin1')).toContain('22 size=9000000000000\n');
  });

  it.each([
    ['in UTF-8', Buffer.from('größe/ü')],
    ['in Latin 1', Buffer.from('gr\xf6\xdfe/\xfc', 'latin1')],
    ['long, in Latin 1', Buffer.from(`${'\xf6'.repeat(200)}/${'\xdf'.repeat(200)}`, 'latin1')],
    ['with what looks like a replacement', Buffer.from('\ufffd')],
  ])('come back from our extraction and from Python as they were: a name %s', async (_, bytes) => {
    const name = bytes.toString('latin1');
    const header = tarHeader({ ...member(''), name });
    const names: string[] = [];
    const untar = new Untar({
      begin: ({ path }) => names.push(path),
      data: () => undefined,
      end: () => undefined,
    });
    await untar.write(Buffer.concat([header, END]));
    await untar.end();
    expect(names).toEqual([name]);
    const script =
      'import os,sys,tarfile; print(os.fsencode(tarfile.open(fileobj=sys.stdin.buffer, mode="r|").next().name).hex())';
    const environment = { PATH: process.env.PATH ?? '', PYTHONUTF8: '1' };
    const python = spawnSync('python3', ['-c', script], {
      input: Buffer.concat([header, END]),
      env: environment,
      encoding: 'utf8',
    });
    if (python.error === undefined) expect(python.stdout.trim()).toBe(bytes.toString('hex'));
  });

  it('unpack with GNU tar: names that are not UTF-8, owners, modes and times', () => {
    const scratch = createScratch();
    const bytes = 'a\xe9\xff';
    const odd = tarHeader({
      ...member(''),
      name: bytes,
      size: 3,
      uid: 12345,
      gid: 54321,
      userName: '',
      groupName: '',
    });
    const content = Buffer.concat([Buffer.from('abc'), new Uint8Array(paddingAfter(3))]);
    writeFileSync(`${scratch}/odd.tar`, Buffer.concat([odd, content, END]));
    mkdirSync(`${scratch}/out`);
    const listing = execFileSync('tar', [
      '--numeric-owner',
      '--utc',
      '--full-time',
      '-tvf',
      `${scratch}/odd.tar`,
    ]);
    expect(listing.toString()).toContain('-rw------- 12345/54321');
    expect(listing.toString()).toContain('2026-11-21 06:25:39.465971');
    execFileSync('tar', ['--no-same-owner', '-xf', `${scratch}/odd.tar`, '-C', `${scratch}/out`]);
    expect(readdirSync(`${scratch}/out`, 'latin1')).toEqual([bytes]);
  });
});
