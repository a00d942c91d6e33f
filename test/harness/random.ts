/** Deterministic randomness for tests: the same seed gives the same numbers on every machine (xorshift32). */

/** Numbers from 0 up to, without, 1. */
export function seededRandom(seed: number): () => number {
  const next = seededWords(seed);
  return () => (next() >>> 0) / 0x1_0000_0000;
}

/** Incompressible bytes. */
export function seededBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length + 4);
  const view = new DataView(bytes.buffer);
  const next = seededWords(seed);
  for (let i = 0; i < length; i += 4) view.setInt32(i, next(), true);
  return bytes.subarray(0, length);
}

function seededWords(seed: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) + 0x7f4a7c15) | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}
