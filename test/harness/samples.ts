/** Data of the kinds that a codec must meet, all from a seed. */
import { seededBytes, seededRandom } from './random.ts';

/** Words of a small vocabulary: text-like, many short matches at all distances. */
export function words(length: number, seed: number): Buffer {
  const random = seededRandom(seed);
  const vocabulary = Array.from({ length: 500 }, (_, index) =>
    Buffer.from(seededBytes(2 + (index % 9), index + 1).map((byte) => 97 + (byte % 26))),
  );
  const bytes = Buffer.alloc(length, ' ');
  let at = 0;
  while (at < length) {
    const word = vocabulary[Math.floor(random() ** 2 * vocabulary.length)];
    if (word) at += word.copy(bytes, at) + 1;
  }
  return bytes;
}

/** Runs, repeats from any distance, counters and noise in turn, so that every instruction of LZO1X is used. */
export function patchwork(length: number, seed: number): Buffer {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const bytes = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const size = Math.min(length - at, 1 + below([4, 20, 300, 5000][below(4)] ?? 1));
    const kind = below(4);
    if (kind === 0) bytes.fill(below(256), at, at + size);
    else if (kind === 1) bytes.set(seededBytes(size, below(1e9) + 1), at);
    else if (kind === 2) for (let i = 0; i < size; i += 1) bytes[at + i] = i >> 2;
    else if (at > 0) {
      const distance = 1 + below(Math.min(at, [8, 64, 2100, 3100, 16500, 60000][below(6)] ?? 1));
      for (let i = 0; i < size; i += 1) bytes[at + i] = bytes[at + i - distance] ?? 0;
    }
    at += size;
  }
  return bytes;
}

export function noise(length: number, seed: number): Buffer {
  return Buffer.from(seededBytes(length, seed));
}

export function zeros(length: number): Buffer {
  return Buffer.alloc(length);
}
