import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/postgres/crc32c.ts';
import { RestorePointSearch } from '../../src/postgres/restore-point.ts';
import { seededBytes } from '../harness/random.ts';
import { segmentHead } from '../harness/segment.ts';

const NAME = '000000010000000000000003';
const SEGMENT = 1024 * 1024;
const PAGE = 8192;
const START = 3n * BigInt(SEGMENT);

/** The record as PostgreSQL lays it out (xlogrecord.h). */
function record(name: string, { spoil = -1, info = 0x70 } = {}): Buffer {
  const bytes = Buffer.alloc(98);
  bytes.writeUInt32LE(98, 0);
  bytes.writeBigUInt64LE(0x28n, 8);
  bytes.set([info, 0], 16);
  bytes.set([255, 72], 24);
  bytes.write(name, 34);
  bytes.writeUInt32LE(crc32c(Buffer.concat([bytes.subarray(24), bytes.subarray(0, 20)])), 20);
  if (spoil >= 0) bytes[spoil] = (bytes[spoil] ?? 0) ^ 1;
  return bytes;
}

/** Two segments of noise with records at these offsets of the first one's content (without page headers). */
function wal(records: readonly (readonly [number, Buffer])[]): [Buffer, Buffer] {
  const contentBytes = PAGE - 40 + (SEGMENT / PAGE - 1) * (PAGE - 24);
  const content = Buffer.from(seededBytes(2 * contentBytes, 5));
  for (const [at, bytes] of records) content.set(bytes, at);
  const segments = [0, 1].map((which) => {
    const segment = Buffer.alloc(SEGMENT);
    let from = which * contentBytes;
    for (let page = 0; page * PAGE < SEGMENT; page += 1) {
      const name = `0000000100000000${(3 + which).toString(16).padStart(8, '0')}`;
      const head = segmentHead(name, SEGMENT).subarray(0, page === 0 ? 40 : 24);
      head.writeBigUInt64LE(START + BigInt(which * SEGMENT + page * PAGE), 8);
      segment.set(head, page * PAGE);
      content.copy(segment, page * PAGE + head.length, from, from + PAGE - head.length);
      from += PAGE - head.length;
    }
    return segment;
  });
  return [segments[0] ?? Buffer.alloc(0), segments[1] ?? Buffer.alloc(0)];
}

function search(
  name: string,
  segment: Uint8Array,
  following?: Uint8Array,
  chunkBytes = 262_144,
): bigint | undefined {
  const read = (bytes: Uint8Array, start: bigint) => {
    const searching = new RestorePointSearch(name, start);
    for (let at = 0; at < bytes.length; at += chunkBytes) searching.push(bytes.subarray(at, at + chunkBytes));
    return searching;
  };
  const head = following === undefined ? new Uint8Array(0) : read(following, START + BigInt(SEGMENT)).head;
  return read(segment, START).finish(head);
}

describe('a restore point', () => {
  it.each([100, 8192, 10_000, 262_144, 2 ** 20])(
    'is found where it is, in chunks of %i bytes',
    (chunkBytes) => {
      expect(NAME).toHaveLength(24);
      const [segment] = wal([[8, record('before')]]);
      expect(search('before', segment, undefined, chunkBytes)).toBe(START + 48n);
    },
  );

  it('is found across pages, and counts from its first byte', () => {
    const firstPage = PAGE - 40;
    const [segment] = wal([[firstPage - 16, record('before')]]);
    expect(search('before', segment)).toBe(START + BigInt(PAGE - 16));
    const [later] = wal([[firstPage + 16, record('before')]]);
    expect(search('before', later)).toBe(START + BigInt(PAGE + 24 + 16));
  });

  it('is found across the end of its segment when the next one is there', () => {
    const content = PAGE - 40 + (SEGMENT / PAGE - 1) * (PAGE - 24);
    const [segment, following] = wal([[content - 48, record('before')]]);
    expect(search('before', segment)).toBeUndefined();
    expect(search('before', segment, following)).toBe(START + BigInt(SEGMENT - 48));
    expect(search('before', following)).toBeUndefined();
  });

  it('is the last one of its name, and no other name', () => {
    const [segment] = wal([
      [800, record('before')],
      [80_000, record('before')],
      [90_000, record('before dawn')],
      [91_000, record('not before')],
    ]);
    expect(search('before', segment)).toBe(
      START + 24n + 24n * BigInt(Math.floor((80_000 + 40) / PAGE)) + 80_016n,
    );
    expect(search('dawn', segment)).toBeUndefined();
    expect(search('befor', segment)).toBeUndefined();
  });

  it('is believed only with its form and its checksum, and not in pages of another segment', () => {
    for (const spoilt of [
      record('before', { spoil: 30 }),
      record('before', { spoil: 0 }),
      record('before', { info: 0x10 }),
    ])
      expect(search('before', wal([[800, spoilt]])[0])).toBeUndefined();
    expect(search('before', wal([[804, record('before')]])[0])).toBeUndefined();
    const [segment] = wal([[80_000, record('before')]]);
    segment.writeBigUInt64LE(7n, 8 * PAGE + 8);
    expect(search('before', segment)).toBeUndefined();
  });

  it('is not there in what is no WAL', () => {
    expect(search('before', Buffer.from('WAL'))).toBeUndefined();
    expect(search('before', seededBytes(100_000, 1))).toBeUndefined();
  });
});
