/**
 * Hostile input. WALE_FUZZ_CASES and WALE_FUZZ_SEED choose how much and where it starts (`npm run fuzz`: millions); a
 * failure names the seed of its case.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { LzopDecoder } from '../../src/codec/decoder.ts';
import { BLOCK_BYTES, lzo1x } from '../../src/codec/lzo1x.ts';
import { DataError } from '../../src/errors.ts';
import { decompressBlock, type Fault } from '../harness/lzo1x.ts';
import { compress, hasLzop, lzop } from '../harness/lzop.ts';
import { createOracle } from '../harness/oracle.ts';
import { seededRandom } from '../harness/random.ts';
import { retained } from '../harness/retained.ts';
import { noise, patchwork, words } from '../harness/samples.ts';

const CASES = Number(process.env.WALE_FUZZ_CASES ?? 20_000);
/** The same cases at each run of the tests, others whenever more of them are asked for. */
const USUAL_SEED = process.env.WALE_FUZZ_CASES === undefined ? 20_261_121 : Date.now() % 1_000_000;
const SEED = Number(process.env.WALE_FUZZ_SEED ?? USUAL_SEED);
const GOLDEN = new URL('../../fixtures/golden/seg1/archive/wal_005/', import.meta.url);
const MINUTES = 60_000;

console.info(`fuzzing with WALE_FUZZ_SEED=${SEED} WALE_FUZZ_CASES=${CASES}`);
// A stack for each of the errors would take most of the time.
Error.stackTraceLimit = 0;

type Random = (below: number) => number;

/** Each case has a seed of its own, so that it can be run alone: WALE_FUZZ_SEED=<its seed> WALE_FUZZ_CASES=1. */
function forEachCase(cases: number, run: (random: Random, seed: number) => void): void {
  for (let seed = SEED; seed < SEED + cases; seed += 1) {
    const next = seededRandom(seed);
    run((below) => Math.floor(next() * below), seed);
  }
}

/** One to eight changes: bits, bytes that mean something to LZO1X, parts moved, doubled, cut or exchanged. */
function mutate(bytes: Buffer, random: Random): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (let changes = 1 + random(8); changes > 0 && result.length > 0; changes -= 1) {
    const at = random(result.length);
    const end = Math.min(result.length, at + 1 + random(32));
    const kind = random(6);
    if (kind === 0) result[at] = (result[at] ?? 0) ^ (1 << random(8));
    else if (kind === 1) result[at] = [0, 1, 15, 16, 17, 18, 24, 31, 32, 63, 64, 255][random(12)] ?? 0;
    else if (kind === 2) result.fill(random(2) * 255, at, end);
    else if (kind === 3) result.copyWithin(random(result.length), at, end);
    else if (kind === 4) result = Buffer.concat([result.subarray(0, end), result.subarray(at)]);
    else result = Buffer.concat([result.subarray(0, at), result.subarray(end)]);
  }
  return result.subarray(0, BLOCK_BYTES);
}

/** Bytes in front of the output. */
const GUARD = 64;
/** Copies in wide steps may overrun the output by less than this, where nothing else lies. */
const OVERRUN = 64;

/** The memory in front of an output and behind it that must stay as it is: from, to. */
function guarded(plainLength: number, seed: number) {
  const { plain, packed } = lzo1x();
  const outside = plain + plainLength + OVERRUN;
  // Up to the input now and then, the most endangered part always.
  const end = seed % 500 === 0 ? packed : Math.min(packed, outside + 512);
  return [[plain - GUARD, plain] as const, [outside, end] as const] as const;
}

const filled = new Map([0xa5, 0x5a].map((byte) => [byte, Buffer.alloc(BLOCK_BYTES + 1024, byte)]));

function isFilledWith(byte: number, bytes: Uint8Array): boolean {
  const expected = filled.get(byte)?.subarray(0, bytes.length);
  return expected?.equals(bytes) ?? false;
}

/** Blocks as our compressor and lzop's best one make them. */
function blockSamples(): { readonly packed: Buffer; readonly plainLength: number }[] {
  const codec = lzo1x();
  const plains = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((seed) => [
    patchwork(200 * seed * seed, seed),
    words(300 * seed, seed),
  ]);
  return plains.flatMap((plain) => {
    codec.memory.set(plain, codec.plain);
    const ours = Buffer.from(
      codec.memory.subarray(codec.packed, codec.packed + codec.compress(plain.length, codec.packed)),
    );
    const best = hasLzop ? lzop(['-9', '-F', '-c'], plain).subarray(38 + 12, -4) : ours;
    return [ours, best].map((packed) => ({ packed, plainLength: plain.length }));
  });
}

describe('a block that was changed, or is noise', () => {
  const samples = blockSamples();

  function input(random: Random): { readonly packed: Buffer; readonly plainLength: number } {
    if (random(4) === 0)
      return { packed: noise(random(400), random(1e9) + 1), plainLength: 1 + random(5000) };
    const { packed, plainLength } = samples[random(samples.length)] ?? {
      packed: Buffer.alloc(0),
      plainLength: 1,
    };
    return {
      packed: mutate(packed, random),
      plainLength: random(3) ? plainLength : 1 + random(2 * plainLength),
    };
  }

  test('never writes outside its output, nor takes in anything from outside its input and what it has written', {
    timeout: 30 * MINUTES,
  }, () => {
    const codec = lzo1x();
    forEachCase(CASES, (random, seed) => {
      const { packed, plainLength } = input(random);
      // What lies around the input and the output, and in the output before it is written, differs between the two.
      const outcomes = [0xa5, 0x5a].map((around) => {
        const area = guarded(plainLength, seed);
        codec.memory.fill(around, area[0][0], area[1][1]);
        const outcome = decompressBlock(packed, plainLength, around);
        const touched = area.some(([from, to]) => !isFilledWith(around, codec.memory.subarray(from, to)));
        if (touched) throw new Error(`case ${seed} wrote outside its output`);
        if (!packed.equals(codec.memory.subarray(codec.packed, codec.packed + packed.length)))
          throw new Error(`case ${seed} wrote to its input`);
        return outcome;
      });
      const [first, second] = outcomes;
      if (!first || !second || !same(first, second))
        throw new Error(`case ${seed} depends on what lies outside its input`);
    });
  });

  test('gives the bytes that a second decoder gives, whenever it gives any', {
    timeout: 30 * MINUTES,
  }, async () => {
    const oracle = await createOracle();
    let accepted = 0;
    forEachCase(Math.ceil(CASES / 4), (random, seed) => {
      const { packed, plainLength } = input(random);
      const plain = decompressBlock(packed, plainLength);
      if (!Buffer.isBuffer(plain)) return;
      accepted += 1;
      const other = oracle(packed, plainLength);
      if (other && !other.equals(plain)) throw new Error(`case ${seed} differs from the second decoder`);
    });
    if (CASES >= 1000) expect(accepted).toBeGreaterThan(0);
  });
});

describe('data of any kind', () => {
  const MOST = 4096;

  /** Mostly alike, with runs of one byte and repetitions at any distance; short more often than long. */
  function data(random: Random): Buffer {
    const length = 1 + random(random(2) ? 64 : MOST);
    const seed = 1 + random(1e9);
    if (random(4) === 0) return Buffer.alloc(length, noise(1 + random(40), seed));
    return mutate(random(2) ? patchwork(length, seed) : words(length, seed), random).subarray(0, MOST);
  }

  /** undefined: it would not become less. */
  function packedIn(room: number, plain: Buffer, around: number, seed: number): Buffer | undefined {
    const { memory, plain: at, packedBytes, compress: packTo } = lzo1x();
    const end = room + packedBytes;
    memory.fill(around, at + plain.length, at + plain.length + 256);
    memory.fill(around, room - GUARD, room);
    memory.fill(around, end, end + GUARD);
    memory.set(plain, at);
    const length = packTo(plain.length, room);
    const guards = [memory.subarray(room - GUARD, room), memory.subarray(end, end + GUARD)];
    if (!guards.every((guard) => isFilledWith(around, guard)))
      throw new Error(`case ${seed} wrote outside its room`);
    if (length >= plain.length) throw new Error(`case ${seed} did not become less`);
    return length === 0 ? undefined : Buffer.from(memory.subarray(room, room + length));
  }

  test('is compressed within its room, whatever lies behind it, to what gives it back', {
    timeout: 30 * MINUTES,
  }, () => {
    const { packed, slabs } = lzo1x();
    let compressed = 0;
    forEachCase(Math.ceil(CASES / 4), (random, seed) => {
      const plain = data(random);
      if (plain.length === 0) return;
      const [made, other] = [packed, slabs[0] ?? 0].map((room, index) =>
        packedIn(room, plain, index === 0 ? 0xa5 : 0x5a, seed),
      );
      if (made === undefined ? other !== undefined : !other?.equals(made))
        throw new Error(`case ${seed} depends on what lies behind it`);
      if (made === undefined) return;
      compressed += 1;
      const back = decompressBlock(made, plain.length);
      if (!Buffer.isBuffer(back) || !back.equals(plain)) throw new Error(`case ${seed} does not come back`);
    });
    if (CASES >= 1000) expect(compressed).toBeGreaterThan(CASES / 20);
  });
});

describe('a file that was changed, or is noise', () => {
  const real = [
    '00000001000000000000000B.lzo',
    '00000001000000000000000B.00000028.backup.lzo',
    '00000002.history.lzo',
  ];
  const files: Buffer[] = real.map((name) => readFileSync(new URL(name, GOLDEN)));
  for (const seed of [1, 2, 3]) files.push(compress(Buffer.concat([patchwork(3000, seed), noise(40, seed)])));
  if (hasLzop) files.push(lzop(['-c', '--crc32', '-CC', '-9', '--filter=3'], patchwork(3000, 9)));

  test('throws nothing but a DataError, in bounded time and memory', { timeout: 30 * MINUTES }, () => {
    const before = retained().arrayBuffers;
    let slowest = 0;
    forEachCase(CASES, (random, seed) => {
      const file = files[random(files.length)] ?? Buffer.alloc(0);
      const bytes =
        random(10) === 0
          ? Buffer.concat([file.subarray(0, 38), noise(random(900), seed)])
          : mutate(file, random);
      // Not wall time: on a busy machine a process can stand still for seconds.
      const started = process.cpuUsage();
      decodeHostile(bytes, 1 + random(bytes.length), seed);
      const { user, system } = process.cpuUsage(started);
      slowest = Math.max(slowest, (user + system) / 1000);
    });
    // Milliseconds. A block is at most 256 KiB, and so is the work that a few bytes can ask for: no case can take seconds.
    expect(slowest).toBeLessThan(2000);
    expect(retained().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
  });
});

function decodeHostile(bytes: Buffer, chunkBytes: number, seed: number): void {
  const decoder = new LzopDecoder();
  let given = 0;
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      for (const plain of decoder.pushViews(bytes.subarray(at, at + chunkBytes))) given += plain.length;
    }
    decoder.end();
  } catch (error) {
    if (!(error instanceof DataError)) throw new Error(`case ${seed}`, { cause: error });
  }
  // Each block costs the input 12 bytes at least.
  if (given > (bytes.length / 12 + 1) * BLOCK_BYTES) throw new Error(`case ${seed} gave ${given} bytes`);
}

function same(left: Buffer | Fault, right: Buffer | Fault): boolean {
  if (Buffer.isBuffer(left) && Buffer.isBuffer(right)) return left.equals(right);
  return JSON.stringify(left) === JSON.stringify(right);
}

afterAll(() => {
  Error.stackTraceLimit = 10;
});
