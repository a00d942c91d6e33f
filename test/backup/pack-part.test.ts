import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { packPart } from '../../src/backup/pack-part.ts';
import type { PackedPart, PageRules, PartMember } from '../../src/backup/part-protocol.ts';
import { UserError } from '../../src/errors.ts';
import { createCollectingSink } from '../harness/chunk-sink.ts';
import { decompress, hasLzop, lzop } from '../harness/lzop.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';

const PAGE = 8192;
const PAGES: PageRules = { pageBytes: PAGE, segmentBlocks: 131072 };
const OWNER = { mode: 0o600, uid: 0, gid: 0, userName: '', groupName: '', mtimeMs: 0 };

let folder: string;
beforeEach(() => {
  folder = createScratch();
});

interface Packed extends PackedPart {
  readonly object: Buffer;
  readonly files: ReadonlyMap<string, Buffer>;
}

interface Options {
  readonly pages?: PageRules | undefined;
  /** Called after each piece that was read. */
  readonly read?: () => void;
}

async function pack(members: readonly PartMember[], { pages, read }: Options = {}): Promise<Packed> {
  const sink = createCollectingSink();
  const part = packPart(
    { members, mtimeSeconds: 1_700_000_000 },
    { pages, hashed: true, sink, read: () => read?.() },
  );
  const object = sink.object();
  return { ...part, object, files: await untar(decompress(object)) };
}

async function untar(tar: Buffer): Promise<Map<string, Buffer>> {
  expect(tar.length % 10240).toBe(0);
  const files = new Map<string, Buffer>();
  for await (const entry of Readable.from([tar]).pipe(extract())) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) chunks.push(chunk as Uint8Array);
    files.set(entry.header.name, Buffer.concat(chunks));
  }
  return files;
}

function pathOf(name: string): string {
  return join(folder, name.replaceAll('/', '_'));
}

function member(name: string, content?: Uint8Array): PartMember {
  if (content !== undefined) writeFileSync(pathOf(name), content);
  return { ...OWNER, kind: 'file', name, path: pathOf(name), size: content?.length ?? 0 };
}

function same(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one !== undefined && Buffer.compare(one, other) === 0;
}

describe('a part', () => {
  it('holds its members, whatever their sizes around those of blocks', async () => {
    const sizes = [0, 1, 511, 512, 513, 8192, 262143, 262144, 262145, 1_000_000, 3_000_000];
    const contents = sizes.map((size) => seededBytes(size, size));
    const root: PartMember = { ...OWNER, kind: 'directory', name: '', path: folder, size: 0 };
    const packed = await pack([root, ...contents.map((content, i) => member(`f${i}`, content))]);
    expect([...packed.files.keys()]).toEqual(['./', ...sizes.map((_, i) => `f${i}`)]);
    for (const [i, content] of contents.entries())
      expect(same(packed.files.get(`f${i}`), content)).toBe(true);
    expect(packed).toMatchObject({
      members: sizes.length + 1,
      expandedSize: sizes.reduce((sum, size) => sum + size, 0),
      size: packed.object.length,
      sha256: createHash('sha256').update(packed.object).digest('hex'),
      ...{ vanished: 0, shortened: 0, unsound: { certainCount: 0 } },
    });
  });

  it.runIf(hasLzop)('is what lzop and GNU tar read', async () => {
    const content = seededBytes(700_000, 1);
    const { object } = await pack([member('base/5/16384', content), member('empty', new Uint8Array())]);
    writeFileSync(join(folder, 'part.tar'), lzop(['-dc'], object));
    expect(execFileSync('tar', ['-tf', join(folder, 'part.tar')]).toString()).toBe('base/5/16384\nempty\n');
    const unpacked = execFileSync('tar', ['-xOf', join(folder, 'part.tar'), 'base/5/16384'], {
      maxBuffer: 1e7,
    });
    expect(same(unpacked, content)).toBe(true);
  });

  it('tells how much of it goes to which tablespace', async () => {
    const content = Buffer.from('12345');
    const at = (name: string): PartMember => ({ ...OWNER, kind: 'file', name, content, size: 5 });
    const paths = [
      'pg_tblspc/16384/PG_14/1',
      'pg_tblspc/16384/PG_14/2',
      'pg_tblspc/9/a',
      'base/pg_tblspc/7/x',
    ];
    const { tablespaceBytes } = await pack(paths.map(at));
    expect([...tablespaceBytes]).toEqual([
      ['16384', 10],
      ['9', 5],
    ]);
  });

  it('without members is an empty tar', async () => {
    const packed = await pack([]);
    expect(packed.files.size).toBe(0);
    expect(packed.members).toBe(0);
  });

  it('holds contents that come with their member', async () => {
    const content = Buffer.from('START WAL LOCATION: 0/2000028');
    const label = { ...OWNER, kind: 'file', name: 'backup_label', content, size: content.length } as const;
    expect(same((await pack([label])).files.get('backup_label'), content)).toBe(true);
  });

  it.each([
    ['badly', seededBytes(4_000_000, 7)],
    ['well', new Uint8Array(40_000_000)],
  ])('goes out in chunks of at most a megabyte when it compresses %s', (_, content) => {
    const sink = createCollectingSink();
    packPart(
      { members: [member('f', content)], mtimeSeconds: 0 },
      { pages: undefined, hashed: false, read: () => undefined, sink },
    );
    expect(Math.max(...sink.chunks.map(({ length }) => length))).toBeLessThanOrEqual(1024 * 1024);
  });
});

describe('a file in motion', () => {
  it('that vanished is left out', async () => {
    const packed = await pack([member('a', Buffer.from('a')), member('gone'), member('b', Buffer.from('b'))]);
    expect([...packed.files.keys()]).toEqual(['a', 'b']);
    expect(packed).toMatchObject({ members: 2, vanished: 1 });
  });

  it('that became a folder is left out', async () => {
    const packed = await pack([{ ...OWNER, kind: 'file', name: 'x', path: folder, size: 5 }]);
    expect(packed).toMatchObject({ members: 0, vanished: 1 });
  });

  it('has the size that it has when it is opened, not that of the walk', async () => {
    const grown = { ...member('f', seededBytes(5000, 1)), size: 10 };
    expect((await pack([grown])).files.get('f')?.length).toBe(5000);
  });

  it.each([undefined, PAGES])(
    'that grows while it is read is cut at the size in its header (%o)',
    async (pages) => {
      const content = Buffer.alloc(600 * 1024);
      const packed = await pack([member('base/5/1', content), member('next', Buffer.from('next'))], {
        pages,
        read: () => writeFileSync(pathOf('base/5/1'), seededBytes(5000, 3), { flag: 'a' }),
      });
      expect(same(packed.files.get('base/5/1'), content)).toBe(true);
      expect(packed.files.get('next')?.toString()).toBe('next');
      expect(packed.shortened).toBe(0);
    },
  );

  it.each([undefined, PAGES])(
    '[bpush-19] that shrinks while it is read is filled up with zeros (%o)',
    async (pages) => {
      const content = Buffer.alloc(600 * 1024);
      const packed = await pack([member('base/5/1', content), member('next', Buffer.from('next'))], {
        pages,
        read: () => truncateSync(pathOf('base/5/1'), 100 * 1024),
      });
      expect(same(packed.files.get('base/5/1'), content)).toBe(true);
      expect(packed.files.get('next')?.toString()).toBe('next');
      expect(packed).toMatchObject({ shortened: 1, unsound: { certainCount: 0 } });
    },
  );

  it('is told from an I/O error, which ends the part and names the file', () => {
    symlinkSync(pathOf('loop'), pathOf('loop'));
    const options = { pages: undefined, hashed: false, sink: createCollectingSink(), read: () => undefined };
    const packing = () => packPart({ members: [member('loop')], mtimeSeconds: 0 }, options);
    expect(packing).toThrow(UserError);
    expect(packing).toThrow('could not read a file of the cluster');
  });
});

describe('pages', () => {
  it('that are sound pass; a damaged one is named with its file and its block in the relation', async () => {
    const content = Buffer.alloc(70 * PAGE);
    content.writeUInt32LE(0x16, 65 * PAGE);
    content.writeUInt32LE(0xb374d848, 65 * PAGE + 4);
    const packed = await pack([member('base/5/16384.2', content)], { pages: PAGES });
    expect(same(packed.files.get('base/5/16384.2'), content)).toBe(true);
    expect(packed.unsound.certainCount).toBe(1);
    expect(packed.unsound.certain).toEqual([
      { file: 'base/5/16384.2', block: 2 * 131072 + 65, lsn: 0x16b374d848n },
    ]);
  });

  it('are looked for in relations only, and not where checksums are off', async () => {
    const junk = seededBytes(4 * PAGE, 1);
    expect((await pack([member('pg_xact/0000', junk)], { pages: PAGES })).unsound.certainCount).toBe(0);
    expect((await pack([member('base/5/16384', junk)])).unsound.certainCount).toBe(0);
    expect((await pack([member('base/5/16384', junk)], { pages: PAGES })).unsound.certainCount).toBe(4);
  });

  it('that are cut at the end of a file that is being extended are not checked', async () => {
    const content = seededBytes(PAGE / 2, 5);
    expect((await pack([member('base/5/1', content)], { pages: PAGES })).unsound.certainCount).toBe(0);
  });

  it('in great number are counted all and listed up to a thousand', async () => {
    const junk = Buffer.alloc(1200 * PAGE, 1);
    const { unsound } = await pack([member('base/5/1', junk)], { pages: PAGES });
    expect(unsound.certainCount).toBe(1200);
    expect(unsound.certain).toHaveLength(1000);
  });
});
