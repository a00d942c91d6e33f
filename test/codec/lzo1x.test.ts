import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, lzo1x } from '../../src/codec/lzo1x.ts';
import { Assembly, decompressBlock, END_MARKER } from '../harness/lzo1x.ts';
import { seededRandom } from '../harness/random.ts';
import { noise, patchwork, words, zeros } from '../harness/samples.ts';

const INPUT_ENDS = -1;
const TOO_MUCH = -2;
const TOO_FAR = -3;
const TOO_LITTLE = -4;
const INPUT_LEFT = -5;

function check({ packed, plain }: Assembly, what = ''): void {
  const got = decompressBlock(packed, plain.length);
  expect(Buffer.isBuffer(got) && got.equals(Buffer.from(plain)), what).toBe(true);
}

describe('an instruction of LZO1X is read as the format says', () => {
  test('literals at the start of a block: 1 to 238 in a code of their own', () => {
    for (let length = 1; length <= 238; length += 1) check(new Assembly().first(length).end(), `${length}`);
  });

  test('a run of literals: 4 to 18, 19 and more, and across every further byte of its length', () => {
    const lengths = [4, 5, 17, 18, 19, 20, 272, 273, 274, 527, 528, 529, 5000, 70_000];
    for (const length of lengths) check(new Assembly().run(length).end(), `${length}`);
  });

  test('M2: 3 to 8 bytes at every distance from 1 to 2048', () => {
    for (let distance = 1; distance <= 2048; distance += 1) {
      const block = new Assembly().run(2048);
      for (let length = 3; length <= 8; length += 1) block.m2(length, distance, length % 4);
      check(block.end(), `${distance}`);
    }
  });

  test('M3: any length at distances up to 16384', () => {
    for (const distance of [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 255, 256, 2048, 2049, 16_383, 16_384]) {
      for (const length of [3, 4, 32, 33, 34, 63, 64, 65, 287, 288, 289, 543, 600, 20_000]) {
        const block = new Assembly().run(16_384).m3(length, distance, length % 4);
        check(block.m3(40, 39).end(), `${length} at ${distance}`);
      }
    }
  });

  test('M4: any length at distances from 16385 to 49151', () => {
    for (const distance of [16_385, 16_386, 32_767, 32_768, 32_769, 49_150, 49_151]) {
      for (const length of [3, 4, 8, 9, 10, 263, 264, 265, 519, 520, 60_000]) {
        check(
          new Assembly()
            .run(49_151)
            .m4(length, distance, length % 4)
            .end(),
          `${length} at ${distance}`,
        );
      }
    }
  });

  test('the match of 2 bytes that follows 1 to 3 literals', () => {
    for (const tail of [1, 2, 3]) {
      for (const distance of [1, 2, 3, 4, 5, 512, 1023, 1024]) {
        check(
          new Assembly().run(1024).m2(3, 9, tail).shortest(distance, 1).shortest(distance).end(),
          `${distance}`,
        );
      }
      check(new Assembly().first(tail).shortest(1).end());
    }
  });

  test('the match of 3 bytes at 2049 to 3072 that follows a run of literals', () => {
    for (const distance of [2049, 2050, 2051, 2052, 2053, 3071, 3072]) {
      check(new Assembly().run(3072).afterRun(distance, 3).shortest(2).end(), `${distance}`);
    }
  });
});

describe('a wrong block is refused', () => {
  const far = new Assembly().run(20);

  test.each<[string, number[], number, number, number]>([
    ['that is empty', [], 1, INPUT_ENDS, 0],
    ['that ends after its literals', [17 + 4, 1, 2, 3, 4], 4, INPUT_ENDS, 5],
    ['that ends within its literals', [17 + 9, 1, 2, 3, 4], 9, INPUT_ENDS, 1],
    ['that ends within a run', [0, 100, 1, 2, 3], 118, INPUT_ENDS, 0],
    ['that ends within the length of a run', [0, 0, 0, 0], 118, INPUT_ENDS, 4],
    ['that ends within the length of a match', [...far.packed, 32, 0, 0], 900, INPUT_ENDS, 25],
    ['that ends within a match', [...far.packed, 32, 1, 0], 54, INPUT_ENDS, 24],
    ['with more literals than it says', [17 + 4, 1, 2, 3, 4, ...END_MARKER], 3, TOO_MUCH, 1],
    ['with a longer run than it says', [...far.packed, ...END_MARKER], 19, TOO_MUCH, 0],
    ['with a longer match than it says', [...far.packed, 0x40, 0, ...END_MARKER], 22, TOO_MUCH, 22],
    ['with more literals behind a match', [...far.packed, 0x41, 0, 7, ...END_MARKER], 23, TOO_MUCH, 22],
    ['with a match before its start', [...far.packed, 0x40 | (4 << 2), 2, ...END_MARKER], 23, TOO_FAR, 22],
    ['that starts with a match', [0x11, 4, 0, ...END_MARKER], 3, TOO_FAR, 0],
    ['with less data than it says', [...far.packed, ...END_MARKER], 21, TOO_LITTLE, 22],
    ['with no data at all', END_MARKER, 1, TOO_LITTLE, 0],
    ['with bytes behind its end', [...far.packed, ...END_MARKER, 0], 20, INPUT_LEFT, 25],
    ['with an end marker of another length', [...far.packed, 0x12, 0, 0], 20, TOO_FAR, 22],
    ['with an end marker that carries literals', [...far.packed, 0x11, 1, 0, 9], 21, TOO_FAR, 22],
  ])('%s', (_, packed, plainLength, fault, at) => {
    expect(decompressBlock(packed, plainLength)).toEqual({ fault, at });
  });
});

test('a block that was cut anywhere ends too soon, whatever lies behind it', () => {
  const codec = lzo1x();
  for (const make of [patchwork, words]) {
    const plain = make(4000, 5);
    codec.memory.set(plain, codec.plain);
    const whole = codec.memory.slice(codec.packed, codec.packed + codec.compress(plain.length, codec.packed));
    for (let length = 0; length < whole.length; length += 1) {
      for (const behind of [0x00, 0x11, 0xff]) {
        const outcome = decompressBlock(whole.subarray(0, length), plain.length, behind);
        expect(outcome, `${length} bytes, then ${behind}`).toMatchObject({ fault: INPUT_ENDS });
      }
    }
  }
});

describe('a compressed block', () => {
  test('of data that would not become less is not made', () => {
    const codec = lzo1x();
    for (const length of [1, 2, 3, 4, 15, 16, 17, 300, BLOCK_BYTES - 1, BLOCK_BYTES]) {
      codec.memory.set(noise(length, length), codec.plain);
      expect(codec.compress(length, codec.packed), `${length}`).toBe(0);
    }
  });

  test('is less than the data by one byte at least, also where it is hardly so', () => {
    const codec = lzo1x();
    for (let copied = 4; copied < 400; copied += 1) {
      const start = noise(BLOCK_BYTES / 2, copied);
      const plain = Buffer.concat([start, start.subarray(0, copied), noise(copied, copied + 1)]);
      codec.memory.set(plain, codec.plain);
      expect(codec.compress(plain.length, codec.packed)).toBeLessThan(plain.length);
      roundTrip(plain, `${copied} bytes again`);
    }
  });

  test('stays within its room', () => {
    const codec = lzo1x();
    const [from = 0] = codec.slabs;
    const end = from + codec.packedBytes;
    for (let seed = 1; seed <= 20; seed += 1) {
      codec.memory.fill(0xa5, end, end + 4096);
      // Hardly less than before: as much as is ever written.
      const plain = Buffer.concat([noise(BLOCK_BYTES - 2048, seed), Buffer.alloc(2048)]);
      codec.memory.set(plain, codec.plain);
      expect(codec.compress(BLOCK_BYTES, from)).toBeGreaterThan(BLOCK_BYTES - 2048);
      expect(codec.memory.subarray(end, end + 4096).every((byte) => byte === 0xa5)).toBe(true);
    }
  });

  test('of a repeated pattern of any period gives it back', () => {
    for (let period = 1; period <= 300; period += 1) {
      const plain = Buffer.alloc(5000 + period, noise(period, period));
      roundTrip(plain, `period ${period}`);
    }
  });

  test('finds what is exactly as far away as a match can reach', () => {
    for (const distance of [
      2047, 2048, 2049, 16_383, 16_384, 16_385, 32_767, 32_768, 49_150, 49_151, 49_152,
    ]) {
      const again = noise(24, 1);
      const packedLength = roundTrip(Buffer.concat([again, zeros(distance - 24), again]), `${distance}`);
      const zerosLength = Math.ceil(distance / 255);
      if (distance <= 49_151) expect(packedLength, `${distance}`).toBeLessThan(24 + zerosLength + 20);
    }
  });

  test('of records that differ in a few bytes gives them back, and is small', () => {
    for (let period = 1; period <= 300; period += 1) {
      const records = recordsOf(period, 6000 + period);
      const packedLength = roundTrip(records, `records of ${period} bytes`);
      if (period >= 64) expect(packedLength, `${period}`).toBeLessThan(records.length / 4);
    }
    for (let length = 1; length < 400; length += 1) roundTrip(recordsOf(24, length), `${length} bytes`);
  });

  test('of structured data of any length gives it back', () => {
    for (let length = 1; length < 3000; length += 1) {
      roundTrip(patchwork(length, length), `patchwork of ${length}`);
      if (length < 300)
        for (const make of [words, noise, zeros])
          roundTrip(make(length, length), `${make.name} of ${length}`);
    }
  });
});

/** The same `period` bytes again and again, one to three of them changed each time. */
function recordsOf(period: number, length: number): Buffer {
  const plain = Buffer.alloc(length, noise(period, period));
  const random = seededRandom(period);
  for (let at = 0; at < length; at += period) {
    for (let changes = 1 + random() * 3; changes >= 1; changes -= 1) {
      const place = at + Math.floor(random() * period);
      if (place < length) plain.writeUInt8(Math.floor(random() * 256), place);
    }
  }
  return plain;
}

function roundTrip(plain: Uint8Array, what: string): number {
  const codec = lzo1x();
  codec.memory.set(plain, codec.plain);
  const packedLength = codec.compress(plain.length, codec.packed);
  if (packedLength === 0) return plain.length;
  const packed = codec.memory.slice(codec.packed, codec.packed + packedLength);
  codec.memory.fill(0, codec.plain, codec.plain + plain.length);
  const back = decompressBlock(packed, plain.length);
  expect(Buffer.isBuffer(back) && back.equals(plain), what).toBe(true);
  return packedLength;
}
