import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeLzop } from '../../src/codec/decoder.ts';
import { type PageRun, pageCheck, pageLsn } from '../../src/postgres/page-checksum.ts';
import { firstBlock } from '../../src/postgres/relation-file.ts';

const PAGE = 8192;
const BACKUP = '../../fixtures/golden/seg1/archive/basebackups_005/base_00000001000000000000000B_00000040';

/** Relation files that PostgreSQL 14 wrote with checksums on, from an archive of the original. */
const relations = new Map<string, Buffer>();

beforeAll(async () => {
  const part = new URL(`${BACKUP}/tar_partitions/part_00000000.tar.lzo`, import.meta.url);
  const members = Readable.from(decodeLzop(createReadStream(part))).pipe(extract());
  for await (const member of members) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of member) chunks.push(chunk as Uint8Array);
    const content = Buffer.concat(chunks);
    if (firstBlock(member.header.name, 131072) !== undefined) relations.set(member.header.name, content);
  }
});

const memory = new WebAssembly.Memory({ initial: 28, maximum: 28 });
const firstUnsound = pageCheck(memory);

/** At an address that is a multiple of nothing much, as pages lie in a tar. */
function load(content: Uint8Array): PageRun {
  const address = 1536;
  new Uint8Array(memory.buffer).set(content, address);
  return { address, count: content.length / PAGE, pageBytes: PAGE, firstBlock: 0 };
}

describe('a page checksum', () => {
  it('is right for every page that PostgreSQL wrote', () => {
    let pages = 0;
    for (const [name, content] of relations) {
      for (let at = 0; at < content.length; at += 32 * PAGE) {
        const run = { ...load(content.subarray(at, at + 32 * PAGE)), firstBlock: at / PAGE };
        expect(firstUnsound(run, 0), name).toBe(run.count);
        pages += run.count;
      }
    }
    expect(pages).toBeGreaterThan(800);
  });

  it('is wrong when one bit anywhere in the page is flipped, also in the checksum itself', () => {
    const page = page0();
    for (let bit = 0; bit < PAGE * 8; bit += 37) {
      const flipped = Buffer.from(page);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(firstUnsound(load(flipped), 0), `bit ${bit}`).toBe(0);
    }
  });

  it('is wrong for a sound page in another place', () => {
    const run = load(page0());
    expect(firstUnsound(run, 0)).toBe(1);
    expect(firstUnsound({ ...run, firstBlock: 1 }, 0)).toBe(0);
    expect(firstUnsound({ ...run, firstBlock: 131072 }, 0)).toBe(0);
  });

  it('leaves the pages as they were', () => {
    const page = page0();
    firstUnsound(load(page), 0);
    expect(Buffer.from(memory.buffer, 1536, PAGE).equals(page)).toBe(true);
  });

  it('is not asked of a new page, which must be all zero instead', () => {
    expect(firstUnsound(load(new Uint8Array(PAGE)), 0)).toBe(1);
    const dirty = new Uint8Array(PAGE);
    dirty[5000] = 1;
    expect(firstUnsound(load(dirty), 0)).toBe(0);
  });

  it('finds the damaged ones among many, one after the other', () => {
    const run = load(Buffer.concat([page0(), new Uint8Array(PAGE), page0(), new Uint8Array(PAGE)]));
    expect(firstUnsound(run, 0)).toBe(2);
    expect(firstUnsound(run, 3)).toBe(4);
  });
});

describe('a page', () => {
  it('names the WAL position of its last change', () => {
    const page = new Uint8Array(PAGE);
    new DataView(page.buffer).setUint32(0, 0x16, true);
    new DataView(page.buffer).setUint32(4, 0xb374d848, true);
    expect(pageLsn(page)).toBe(0x16b374d848n);
  });
});

function page0(): Buffer {
  for (const content of relations.values()) if (content.length > 0) return content.subarray(0, PAGE);
  throw new Error('no relation in the archive');
}
