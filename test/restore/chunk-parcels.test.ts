import { describe, expect, test } from 'vitest';
import { parcels } from '../../src/restore/chunk-parcels.ts';
import { noise } from '../harness/samples.ts';

async function gather(...chunks: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>[]> {
  async function* source() {
    yield* chunks;
  }
  const made: Uint8Array<ArrayBuffer>[] = [];
  for await (const parcel of parcels(source())) made.push(parcel);
  return made;
}

/** Memory of its own, as a read of a file or of a socket has it. */
function own(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(noise(length, length));
}

describe('a chunk of a download', () => {
  test('that has its memory to itself is handed on as it is, not copied', async () => {
    const chunks = [own(65_536), own(1_000_000)];
    const made = await gather(...chunks);
    expect(made.map(({ buffer }) => buffer)).toEqual(chunks.map(({ buffer }) => buffer));
    expect(made[1]?.buffer).toBe(chunks[1]?.buffer);
  });

  test('that shares its memory, or is small, is gathered with others, in order', async () => {
    const shared = own(2_000_000);
    const views = [shared.subarray(0, 300_000), shared.subarray(300_000, 1_700_000)];
    const small = own(100);
    const large = own(70_000);
    const made = await gather(...views, small, large, small);
    expect(Buffer.concat(made).equals(Buffer.concat([...views, small, large, small]))).toBe(true);
    expect(made.some(({ buffer }) => buffer === shared.buffer)).toBe(false);
    expect(made.some(({ buffer }) => buffer === large.buffer)).toBe(true);
  });

  test('of any size makes parcels that can all be transferred', async () => {
    for (const size of [1000, 65_535, 65_536, 524_287, 524_288, 524_289, 1_500_000]) {
      const plain = own(1_500_000);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < plain.length; at += size) {
        chunks.push(plain.slice(at, at + size));
      }
      const made = await gather(...chunks);
      const arrived = made.map((parcel) => structuredClone(parcel, { transfer: [parcel.buffer] }));
      expect(Buffer.concat(arrived).equals(plain), `${size} bytes`).toBe(true);
    }
  });
});
