import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES, lzo1x } from '../../src/codec/lzo1x.ts';
import { createOracle, type Oracle } from '../harness/oracle.ts';
import { noise, patchwork, words, zeros } from '../harness/samples.ts';

let oracle: Oracle;

beforeAll(async () => {
  oracle = await createOracle();
});

function packed(plain: Uint8Array): Uint8Array {
  const codec = lzo1x();
  codec.memory.set(plain, codec.plain);
  return codec.memory.slice(codec.packed, codec.packed + codec.compress(plain.length, codec.packed));
}

describe('a second decoder reads what we compress', () => {
  test.each([words, patchwork, noise, zeros])('$name of many lengths', (make) => {
    for (const length of [
      1,
      2,
      3,
      4,
      5,
      20,
      100,
      237,
      238,
      239,
      1000,
      65_536,
      BLOCK_BYTES - 1,
      BLOCK_BYTES,
    ]) {
      const plain = make(length, length);
      expect(oracle(packed(plain), length)?.equals(plain), `${length} bytes`).toBe(true);
    }
  });

  test('patchwork of a thousand kinds', () => {
    for (let seed = 1; seed <= 1000; seed += 1) {
      const plain = patchwork(1 + ((seed * 37) % 5000), seed);
      expect(oracle(packed(plain), plain.length)?.equals(plain), `seed ${seed}`).toBe(true);
    }
  });

  test('and refuses what is damaged', () => {
    expect(oracle(Buffer.of(0x11, 4, 0, 0x11, 0, 0), 3)).toBeUndefined();
  });
});
