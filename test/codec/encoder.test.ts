import { describe, expect, test } from 'vitest';
import { encodeLzop, LzopEncoder } from '../../src/codec/encoder.ts';
import { BLOCK_BYTES } from '../../src/codec/lzo1x.ts';
import { compress, decompress, hasLzop, lzop, NO_FILE } from '../harness/lzop.ts';
import { noise, patchwork, words, zeros } from '../harness/samples.ts';

const KINDS = { words, patchwork, noise, zeros } as const;
const LENGTHS = [
  ...[0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 19, 20, 31, 32, 33, 34, 238, 239, 240, 273, 274],
  ...[255 * 1024, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, BLOCK_BYTES + 3, 257 * 1024],
  ...[3 * BLOCK_BYTES - 1, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1],
];

describe('a compressed file', () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    test(`of ${kind} gives back its bytes at every length around a boundary`, () => {
      for (const length of LENGTHS) {
        const plain = make(length, length + 1);
        expect(decompress(compress(plain)).equals(plain), `${length} bytes`).toBe(true);
      }
    });

    test.skipIf(!hasLzop)(`of ${kind} is accepted by lzop -t and read by lzop -d`, () => {
      for (const length of LENGTHS) {
        const plain = make(length, length + 1);
        const packed = compress(plain);
        lzop(['-t'], packed);
        expect(lzop(['-d'], packed).equals(plain), `${length} bytes`).toBe(true);
      }
    });

    test.skipIf(!hasLzop)(`of ${kind} is never more than 1 % larger than lzop's`, () => {
      const plain = make(2_000_000, 7);
      expect(compress(plain).length).toBeLessThanOrEqual(lzop(['-c'], plain).length * 1.01);
    });
  }

  test.skipIf(!hasLzop)('has the header and the end of one that lzop made from a pipe', () => {
    const made = lzop(['-c'], zeros(1000));
    const ours = compress(zeros(1000), { mode: made.readUInt32BE(21), mtimeSeconds: made.readUInt32BE(25) });
    expect(ours.subarray(0, 38)).toEqual(made.subarray(0, 38));
    expect(ours.subarray(-4)).toEqual(made.subarray(-4));
  });

  test('of nothing is a header and an end marker', () => {
    expect(compress(Buffer.alloc(0))).toHaveLength(42);
  });

  test('stores mode and time of the file, also after 2038 and 2106', () => {
    const header = Buffer.from(new LzopEncoder({ mode: 0o100600, mtimeSeconds: 2 ** 32 + 5 }).header());
    expect([header.readUInt32BE(21), header.readUInt32BE(25), header.readUInt32BE(29)]).toEqual([
      0o100600, 5, 1,
    ]);
  });

  test('does not depend on what was compressed before it', () => {
    const plain = patchwork(100_000, 3);
    const first = compress(plain);
    compress(words(BLOCK_BYTES, 9));
    compress(noise(BLOCK_BYTES, 9));
    expect(compress(plain).equals(first)).toBe(true);
  });
});

describe('a block', () => {
  test('that does not shrink is stored as it is', () => {
    const plain = noise(5000, 1);
    const block = Buffer.from(new LzopEncoder(NO_FILE).block(plain));
    expect([block.readUInt32BE(0), block.readUInt32BE(4)]).toEqual([5000, 5000]);
    expect(block.subarray(12).equals(plain)).toBe(true);
  });

  test('is the same from memory of the caller, from the codec input, and as a view', () => {
    const encoder = new LzopEncoder(NO_FILE);
    const plain = words(BLOCK_BYTES, 4);
    const copied = Buffer.from(encoder.block(plain));
    const input = encoder.input();
    expect(input).toHaveLength(BLOCK_BYTES);
    input.set(plain);
    expect(copied.equals(encoder.blockView(input))).toBe(true);
    input.set(plain);
    expect(copied.subarray(8, 12).equals(encoder.block(input.subarray(0, 100)).subarray(8, 12))).toBe(false);
  });

  test('from another place of the codec memory than its start is copied there first', () => {
    const encoder = new LzopEncoder(NO_FILE);
    const plain = patchwork(1000, 5);
    encoder.input().set(plain, 77);
    expect(encoder.block(encoder.input().subarray(77, 1077))).toEqual(encoder.block(plain));
  });

  test.each([0, BLOCK_BYTES + 1])('of %i bytes is refused', (length) => {
    expect(() => new LzopEncoder(NO_FILE).block(new Uint8Array(length))).toThrow(RangeError);
  });
});

describe('encodeLzop', () => {
  test.each([1, 1000, 65_536, BLOCK_BYTES, 300_000, 10_000_000])(
    'makes the same file from chunks of %i bytes',
    async (chunkBytes) => {
      const plain = words(chunkBytes === 1 ? 3000 : 700_000, 2);
      const pieces: Uint8Array[] = [];
      for await (const piece of encodeLzop(chunksOf(plain, chunkBytes), NO_FILE)) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(compress(plain))).toBe(true);
    },
  );
});

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  yield new Uint8Array(0);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
