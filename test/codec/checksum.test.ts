import { describe, expect, test } from 'vitest';
import { adler32 } from '../../src/codec/checksum.ts';
import { BLOCK_BYTES } from '../../src/codec/lzo1x.ts';
import { noise, patchwork } from '../harness/samples.ts';

/** As RFC 1950 defines it, byte by byte. */
function defined(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return high * 65536 + low;
}

describe('Adler-32 is what its definition says', () => {
  test('at every length up to twice as many bytes as are summed at a time', () => {
    const bytes = noise(5000, 1);
    for (let length = 0; length <= 5000; length += 1) {
      const part = bytes.subarray(0, length);
      expect(adler32(part), `${length} bytes`).toBe(defined(part));
    }
  });

  test.each([2047, 2048, 2049, BLOCK_BYTES - 1, BLOCK_BYTES])(
    'also of the largest bytes and the smallest, %i of them',
    (length) => {
      for (const value of [0, 255]) {
        const bytes = new Uint8Array(length).fill(value);
        expect(adler32(bytes)).toBe(defined(bytes));
      }
    },
  );

  test('of whole blocks of data', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const bytes = patchwork(BLOCK_BYTES - seed, seed);
      expect(adler32(bytes), `seed ${seed}`).toBe(defined(bytes));
    }
  });
});
