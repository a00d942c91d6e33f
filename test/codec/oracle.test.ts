import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES, lzo1x } from '../../src/codec/lzo1x.ts';
import { createOracle, type Oracle } from '../harness/oracle.ts';
import { patchwork, words, zeros } from '../harness/samples.ts';

let oracle: Oracle;

beforeAll(async () => {
  oracle = await createOracle();
});

/** undefined: it would not become less. */
function packed(plain: Uint8Array): Uint8Array | undefined {
  const codec = lzo1x();
  codec.memory.set(plain, codec.plain);
  const packedLength = codec.compress(plain.length, codec.packed);
  return packedLength === 0 ? undefined : codec.memory.slice(codec.packed, codec.packed + packedLength);
}

describe('a second decoder reads what we compress', () => {
  test.each([words, patchwork, zeros])('$name of many lengths', (make) => {
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
      const made = packed(plain);
      if (made === undefined) expect(length, `${length} bytes`).toBeLessThan(2000);
      else expect(oracle(made, length)?.equals(plain), `${length} bytes`).toBe(true);
    }
  });

  test('patchwork of a thousand kinds', () => {
    let compressed = 0;
    for (let seed = 1; seed <= 1000; seed += 1) {
      const plain = patchwork(1 + ((seed * 37) % 5000), seed);
      const made = packed(plain);
      if (made === undefined) continue;
      compressed += 1;
      expect(oracle(made, plain.length)?.equals(plain), `seed ${seed}`).toBe(true);
    }
    expect(compressed).toBeGreaterThan(800);
  });

  test('and refuses what is damaged', () => {
    expect(oracle(Buffer.of(0x11, 4, 0, 0x11, 0, 0), 3)).toBeUndefined();
  });
});
