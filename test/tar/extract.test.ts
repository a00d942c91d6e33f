import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { type Extracted, type ExtractOptions, Extractor } from '../../src/tar/extract.ts';
import { MemberError } from '../../src/tar/member-error.ts';
import { Untar } from '../../src/tar/untar.ts';
import { seededBytes, seededRandom } from '../harness/random.ts';
import { retained } from '../harness/retained.ts';
import { createScratch } from '../harness/scratch.ts';
import { file, folder, paxEntry, type TarEntry, tarEntry, tarOf } from '../harness/tar.ts';

let scratch: string;
let root: string;
beforeEach(() => {
  scratch = createScratch();
  root = join(scratch, 'data');
  mkdirSync(root);
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

async function extract(
  tar: Uint8Array,
  options: Partial<ExtractOptions> = {},
  blockBytes = 256 * 1024,
): Promise<Extracted> {
  const extractor = new Extractor({
    root,
    mounts: new Map(),
    staged: new Map(),
    refusal: () => undefined,
    ownerOf: undefined,
    duplicatesSince: 0,
    ...options,
  });
  const untar = new Untar(extractor);
  // One buffer for every block, as the decoder's memory is: what kept a view of it would see other bytes.
  const reused = new Uint8Array(blockBytes);
  try {
    for (let at = 0; at < tar.length; at += blockBytes) {
      const piece = tar.subarray(at, at + blockBytes);
      reused.set(piece);
      await untar.write(reused.subarray(0, piece.length));
      reused.fill(0xdb);
      await extractor.throttle();
    }
    await untar.end();
    return await extractor.finish();
  } catch (error) {
    untar.abort();
    await extractor.abort();
    throw error;
  }
}

/** Every path below the scratch folder with what it is. */
function tree(at = scratch): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    const path = join(at, entry.name);
    if (entry.isDirectory())
      Object.assign(seen, { [path.slice(scratch.length + 1)]: 'directory' }, tree(path));
    else seen[path.slice(scratch.length + 1)] = entry.isFile() ? readFileSync(path, 'latin1') : 'other';
  }
  return seen;
}

async function refusal(entries: readonly (TarEntry | Buffer)[], options: Partial<ExtractOptions> = {}) {
  const raw = entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry)));
  const error = await extract(Buffer.concat([...raw, tarOf([])]), options).then(
    () => expect.fail('was extracted'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
}

describe('an honest tar', () => {
  it('yields its files with content, permission bits and time, and its folders', async () => {
    const big = seededBytes(1_500_000, 1);
    const done = await extract(
      tarOf([
        folder('/'),
        folder('base/'),
        folder('base/1'),
        file('base/1/1259', big),
        file('PG_VERSION', '14\n', 0o640),
      ]),
    );
    expect(done).toMatchObject({ members: 5, bytes: 1_500_003, links: [] });
    expect(readFileSync(join(root, 'base/1/1259')).equals(big)).toBe(true);
    expect(statSync(join(root, 'PG_VERSION'))).toMatchObject({ mtimeMs: 1_700_000_000_000 });
    expect(statSync(join(root, 'PG_VERSION')).mode & 0o7777).toBe(0o640);
  });

  it('takes "/", "." and "./" for the data directory, and PAX and GNU long names for names', async () => {
    const long = `base/${'x'.repeat(120)}`;
    await extract(
      Buffer.concat([
        tarEntry(folder('/', 0o750)),
        tarEntry(folder('./')),
        paxEntry({ path: long, mtime: '1600000000.25' }),
        tarEntry(file('base/cut', 'pax')),
        tarEntry({
          name: '././@LongLink',
          type: 'L',
          content: Buffer.from(`${long}2\0`),
          magic: 'ustar  \0',
        }),
        tarEntry({ ...file('base/cut', 'gnu'), magic: 'ustar  \0' }),
        tarOf([file('./PG_VERSION', '9')]),
      ]),
    );
    expect(readFileSync(join(root, long), 'utf8')).toBe('pax');
    expect(statSync(join(root, long)).mtimeMs).toBe(1_600_000_000_250);
    expect(readFileSync(join(root, `${long}2`), 'utf8')).toBe('gnu');
    expect(readFileSync(join(root, 'PG_VERSION'), 'utf8')).toBe('9');
  });

  it.each([1, 7, 511, 512, 513, 65_536, 100_000, 262_144])(
    'gives the same files whether it comes in blocks of %i bytes from memory that is used again',
    async (blockBytes) => {
      const random = seededRandom(blockBytes);
      const size = blockBytes < 100 ? 3_000 : 400_000;
      const files = Array.from({ length: 12 }, (_, i) =>
        file(`f${i}`, seededBytes(Math.floor(random() * size), i + 1)),
      );
      await extract(tarOf(files), {}, blockBytes);
      for (const { name, content } of files) {
        const found = readFileSync(join(root, String(name)));
        expect(createHash('sha256').update(found).digest('hex')).toBe(
          createHash('sha256')
            .update(content ?? '')
            .digest('hex'),
        );
      }
    },
  );

  it('keeps names byte for byte, whether they are UTF-8 or not, in headers and in PAX records', async () => {
    const odd = Buffer.from('odd \xe9\xff "name\' \\', 'latin1');
    const other = Buffer.from('other \xff', 'latin1');
    const record = Buffer.concat([Buffer.from('16 path='), other, Buffer.from('\n')]);
    await extract(
      Buffer.concat([
        tarEntry({ name: odd, content: Buffer.from('1') }),
        tarEntry({ name: 'x', type: 'x', content: record }),
        tarEntry(file('replaced', '2')),
        paxEntry({ path: 'größe/ü' }),
        tarOf([file('replaced', '3')]),
      ]),
    );
    const names = readdirSync(root, 'buffer').map((name) => name.toString('latin1'));
    expect(names.sort()).toEqual([
      Buffer.from('größe').toString('latin1'),
      odd.toString('latin1'),
      other.toString('latin1'),
    ]);
    expect(readFileSync(join(root, 'größe/ü'), 'utf8')).toBe('3');
  });

  it('takes a GNU long name that ends with its record, and records that say nothing', async () => {
    const long = `${'d'.repeat(255)}/${'e'.repeat(255)}`;
    const name = (text: string) =>
      tarEntry({ name: '././@LongLink', type: 'L', content: Buffer.from(`${text}\0`), magic: 'ustar  \0' });
    await extract(
      Buffer.concat([
        name(`${long}/`),
        tarEntry({ ...folder('cut/'), magic: 'ustar  \0' }),
        tarEntry({ name: 'empty', type: 'x' }),
        paxEntry({ mtime: '1' }, 'g'),
        name(`${long}/f`),
        tarOf([file('cut', 'deep')]),
      ]),
    );
    expect(readFileSync(join(root, long, 'f'), 'utf8')).toBe('deep');
  });

  it('takes a time before 1970, as GNU tar writes it, for 1970', async () => {
    const tar = tarOf([
      { ...file('old', 'x'), mtime: Buffer.concat([Buffer.alloc(11, 0xff), Buffer.from([0x80])]) },
    ]);
    await extract(tar);
    expect(statSync(join(root, 'old')).mtimeMs).toBe(0);
  });

  it('makes folders 0700, keeping 0750, also those that have no member of their own', async () => {
    await extract(tarOf([folder('/', 0o755), folder('a', 0o777), folder('b', 0o750), file('c/d/e', 'x')]));
    const modes = ['', 'a', 'b', 'c', 'c/d'].map((name) =>
      (statSync(join(root, name)).mode & 0o7777).toString(8),
    );
    expect(modes).toEqual(['700', '700', '750', '700', '700']);
  });

  it.runIf(process.getuid?.() === 0)(
    'gives files, folders made on the way, and folders of the archive to their owner',
    async () => {
      await extract(tarOf([folder('a'), file('b/c/f', 'x')]), {
        ownerOf: () => ({ uid: 12345, gid: 23456 }),
      });
      for (const name of ['a', 'b', 'b/c', 'b/c/f'])
        expect(statSync(join(root, name)), name).toMatchObject({ uid: 12345, gid: 23456 });
    },
  );

  it('drops set-id and sticky bits', async () => {
    await extract(tarOf([file('f', 'x', 0o6755)]));
    expect(statSync(join(root, 'f')).mode & 0o7777).toBe(0o755);
  });

  it('writes below a mount what the archive has below its folder, and a staged file where it waits', async () => {
    const elsewhere = join(scratch, 'disk2');
    mkdirSync(elsewhere);
    await extract(
      tarOf([
        folder('pg_tblspc/16384'),
        file('pg_tblspc/16384/PG_14/1', 'x'),
        file('global/pg_control', 'c'),
      ]),
      {
        mounts: new Map([['pg_tblspc/16384', elsewhere]]),
        staged: new Map([['global/pg_control', 'global/waiting']]),
      },
    );
    expect(readFileSync(join(elsewhere, 'PG_14/1'), 'utf8')).toBe('x');
    expect(readFileSync(join(root, 'global/waiting'), 'utf8')).toBe('c');
    expect(existsSync(join(root, 'global/pg_control'))).toBe(false);
    expect(existsSync(join(root, 'pg_tblspc'))).toBe(false);
  });

  it('only notes symbolic links', async () => {
    const { links } = await extract(tarOf([{ name: 'a/link', type: '2', linkName: '../x' }]));
    expect(links).toEqual([{ path: 'a/link', target: '../x' }]);
    expect(tree()).toEqual({ data: 'directory' });
  });

  it('replaces files that lie in the way, without writing into them', async () => {
    const outside = join(scratch, 'outside');
    writeFileSync(outside, 'precious');
    symlinkSync(outside, join(root, 'soft'));
    linkSync(outside, join(root, 'hard'));
    await extract(tarOf([file('soft', 'new'), file('hard', 'new')]), { duplicatesSince: undefined });
    expect(readFileSync(outside, 'utf8')).toBe('precious');
    expect(lstatSync(join(root, 'soft')).isFile()).toBe(true);
    expect(readFileSync(join(root, 'hard'), 'utf8')).toBe('new');
  });
});

describe('a hostile tar', () => {
  const names: readonly (string | Buffer)[] = [
    ...['../x', 'a/../../x', '..', '/etc/passwd', '//x', 'a//b', 'a/./b', 'a/..', './../x', '/', '.', ''],
    ...[`${'n'.repeat(60)}/../../${'n'.repeat(10)}`],
  ];
  it.each(names)('cannot name a file %j', async (name) => {
    await refusal([{ name, content: Buffer.from('x') }]);
    expect(tree()).toEqual({ data: 'directory' });
  });

  it.each(['../x', '/etc', 'a/../..', 'a//b', '/./x/'])('cannot name a folder %j', async (name) => {
    await refusal([folder(name)]);
    expect(tree()).toEqual({ data: 'directory' });
  });

  it('cannot hide a NUL byte or a way out in a PAX name', async () => {
    for (const path of ['a\0b', '../../x', '/x', 'x'.repeat(256), 'd/'.repeat(2500)]) {
      await refusal([paxEntry({ path }), file('innocent', 'x')]);
    }
    await extract(Buffer.concat([paxEntry({ path: '../x' }, 'g'), tarOf([file('innocent', 'x')])]));
    expect(Object.keys(tree()).filter((path) => !path.startsWith('data'))).toEqual([]);
  });

  it('cannot write through a symbolic link of its own', async () => {
    const link = { name: 'way', type: '2', linkName: '..' };
    await extract(tarOf([link, file('way/x', 'x')]));
    expect(readFileSync(join(root, 'way/x'), 'utf8')).toBe('x');
    expect(existsSync(join(scratch, 'x'))).toBe(false);
  });

  it('cannot write through a symbolic link that lies in the target', async () => {
    symlinkSync('..', join(root, 'way'));
    const error = await refusal([file('way/x', 'x')]);
    expect(error.detail).toMatch(/symbolic link/);
    await refusal([folder('way')]);
    await refusal([file('way/deep/x', 'x')]);
    expect(existsSync(join(scratch, 'x'))).toBe(false);
  });

  it.each([
    ['a hard link', '1'],
    ['a device', '3'],
    ['a device', '4'],
    ['a named pipe', '6'],
    ['a sparse file', 'S'],
    ['of a kind', '7'],
    ['of a kind', 'V'],
  ])('cannot hold %s (type %s)', async (what, type) => {
    const error = await refusal([{ name: 'x', type, linkName: 'PG_VERSION' }]);
    expect(error.detail).toContain(what);
    expect(tree()).toEqual({ data: 'directory' });
  });

  it('cannot hold a sparse file in PAX form', async () => {
    expect((await refusal([paxEntry({ 'GNU.sparse.major': '1' }), file('x', 'x')])).detail).toMatch(/sparse/);
  });

  it('cannot hold a member twice', async () => {
    const error = await refusal([file('base/1/1', 'a'), file('base/1/1', 'b')]);
    expect(error).toBeInstanceOf(MemberError);
    expect(error.detail).toMatch(/twice/);
    await refusal([file('x', 'a'), folder('x')]);
    await refusal([folder('y'), file('y', 'a')]);
    await refusal([file('z', 'a'), file('z/below', 'b')]);
  });

  it.each([
    ['larger than the tar', 20_000],
    ['of 8 GiB', '77777777777\0'],
    ['of 2^88 bytes', Buffer.from([0x80, ...Array(11).fill(0xff)])],
    ['negative', Buffer.from([0xff, ...Array(11).fill(0xff)])],
    ['no number', 'zzzzzzzzzzz\0'],
  ])('fails with a size %s, and uses no memory or disk for it', async (_, size) => {
    await refusal([{ name: 'x', content: Buffer.from('abc'), size }]);
    expect(statSync(join(root, 'x'), { throwIfNoEntry: false })?.size ?? 0).toBeLessThan(11_000);
  });

  it.each(['1e9', '-1', '', '99999999999999999999', '0x10'])('fails with the PAX size %j', async (size) => {
    await refusal([paxEntry({ size }), file('x', 'abc')]);
  });

  it.each([
    '5 a=b\n',
    '7 a=b\n',
    '0 a=b\n',
    '-6 a=b',
    '6 ab\n',
    '6 a=b',
    '5 =b\n',
    '999999999 a=b\n',
    'a=b\n',
  ])('fails with the PAX record %j', async (record) => {
    await refusal([{ name: 'x', type: 'x', content: Buffer.from(record) }, file('x', 'abc')]);
  });

  it('fails when something follows its end', async () => {
    const tar = Buffer.concat([tarOf([file('a', 'x')]), tarOf([file('b', 'x')])]);
    await expect(extract(tar)).rejects.toBeInstanceOf(DataError);
    expect(existsSync(join(root, 'b'))).toBe(false);
  });

  it('fails with a PAX header of endless length before reading all of it', async () => {
    await refusal([{ name: 'x', type: 'x', content: Buffer.alloc(100), size: 2 ** 32 }]);
  });

  it.each(['x', 'g', 'L', 'K'])('fails with endless records of type %s about one member', async (type) => {
    const content = type === 'x' || type === 'g' ? Buffer.from('6 a=b\n') : Buffer.from('name\0');
    const one = tarEntry({ name: 'x', type, content });
    const chain = Buffer.concat([...Array.from({ length: 2000 }, () => one), tarEntry(file('f', 'x'))]);
    if (type === 'g') await extract(Buffer.concat([chain, tarOf([])]));
    else expect((await refusal([chain])).detail).toMatch(/too long/);
  });

  it('fails when zeros stand between a member and the records about it, or a header hides among them', async () => {
    await refusal([paxEntry({ path: 'a' }), Buffer.alloc(512), file('b', 'x')]);
    await refusal([Buffer.alloc(1024), file('b', 'x')]);
    await refusal([{ name: 'x', type: 'N', content: Buffer.from('b\0') }, file('c', 'x')]);
    expect(tree()).toEqual({ data: 'directory' });
  });

  it('cannot give content to a folder or a link', async () => {
    await refusal([{ name: 'd', type: '5', content: tarEntry(file('../x', 'x')) }]);
    await refusal([{ name: 'l', type: '2', linkName: 'x', content: Buffer.from('x') }]);
  });

  it('fails when a header is damaged, the tar is cut, or its end is missing', async () => {
    await refusal([{ name: 'x', content: Buffer.from('x'), spoil: 3 }]);
    const whole = tarOf([file('a', seededBytes(5000, 1))]);
    for (const length of [100, 512, 3000, 5632, 6144]) {
      await rm(join(root, 'a'), { force: true });
      await expect(extract(whole.subarray(0, length)), `${length} bytes`).rejects.toBeInstanceOf(DataError);
    }
    await expect(extract(Buffer.alloc(0))).rejects.toBeInstanceOf(DataError);
  });

  it('is refused where the caller says so', async () => {
    const error = await refusal([file('pg_tblspc/999/x', 'x')], {
      refusal: ({ path }) => (path.startsWith('pg_tblspc/') ? 'unknown tablespace' : undefined),
    });
    expect(error.detail).toBe('The member "pg_tblspc/999/x": unknown tablespace.');
  });

  it('uses no memory for the number of its members', async () => {
    const options = { root, mounts: new Map(), staged: new Map(), refusal: () => undefined };
    const extractor = new Extractor({ ...options, ownerOf: undefined, duplicatesSince: undefined });
    const untar = new Untar(extractor);
    const thousand = Buffer.concat(
      Array.from({ length: 1000 }, (_, i) => tarEntry(i % 20 !== 0 ? folder(`d${i}`) : file('f', ''))),
    );
    const feed = async (times: number) => {
      for (let time = 0; time < times; time += 1) {
        await untar.write(thousand);
        await extractor.throttle();
      }
    };
    await feed(20);
    const before = retained().heapUsed;
    await feed(80);
    expect(retained().heapUsed - before).toBeLessThan(2e6);
    await untar.write(tarOf([]));
    await untar.end();
    expect((await extractor.finish()).members).toBe(100_000);
  });

  it('cannot note endless symbolic links', async () => {
    const links = Array.from({ length: 10_001 }, (_, i) => ({ name: `l${i}`, type: '2', linkName: 'x' }));
    expect((await refusal(links)).detail).toMatch(/over 10000/);
  });
});

describe('random damage', () => {
  const seed = Number(process.env.WALE_TEST_SEED ?? 20_261_121);
  it(`never writes outside the target, never hangs, and fails only with a reason (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random() * limit);
    const names = [
      'a',
      'a/b',
      '../a',
      '/a',
      'a/../b',
      './c',
      '',
      'd/',
      '..',
      'l/x',
      'l',
      'a/../../../../tmp/wale-fuzz',
    ];
    const types = ['0', '0', '0', '1', '2', '3', '5', '5', 'x', 'g', 'L', 'K', 'S', '\0', '9'];
    const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
    let refused = 0;
    for (let round = 0; round < 400; round += 1) {
      const entries = Array.from({ length: 1 + below(6) }, () => ({
        name: pick(names),
        type: pick(types),
        linkName: pick(names),
        content: seededBytes(below(1200), below(1e6) + 1),
      }));
      const tar = tarOf(entries);
      for (let hits = below(4); hits > 0; hits -= 1) tar[below(tar.length)] = below(256);
      const cut = random() < 0.2 ? below(tar.length) : tar.length;
      await extract(
        tar.subarray(0, cut),
        { duplicatesSince: undefined },
        pick([13, 512, 70_000, 262_144]),
      ).catch((error: unknown) => {
        refused += 1;
        if (!(error instanceof DataError)) throw new Error(`round ${round}`, { cause: error });
      });
      expect(readdirSync(scratch)).toEqual(['data']);
    }
    expect(refused).toBeGreaterThan(100);
    expect(existsSync('/tmp/wale-fuzz')).toBe(false);
  });
});
