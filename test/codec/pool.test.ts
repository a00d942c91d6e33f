import { afterEach, describe, expect, test } from 'vitest';
import type { Codec } from '../../src/codec/codec.ts';
import { openCodec } from '../../src/codec/open.ts';
import { createCodecPool } from '../../src/codec/pool.ts';
import { compress, NO_FILE } from '../harness/lzop.ts';
import { poll } from '../harness/poll.ts';
import { noise, patchwork, words, zeros } from '../harness/samples.ts';
import { threadsAlive } from '../harness/threads.ts';

const MEBIBYTE = 1024 * 1024;

let pool: Codec | undefined;
let threadsBefore = 0;

function open(size: number, signal = new AbortController().signal, make = createCodecPool): Codec {
  threadsBefore = threadsAlive();
  pool = make({ size, signal });
  return pool;
}

afterEach(async () => {
  await pool?.close();
  await poll('the threads of the pool to end', () => threadsAlive() <= threadsBefore);
});

describe.each([
  ['the codec of the calling thread', 1, openCodec],
  ['a pool of 1 thread', 1, createCodecPool],
  ['a pool of 2 threads', 2, openCodec],
  ['a pool of 5 threads', 5, openCodec],
])('%s, behind the one interface,', (_, size, make) => {
  const openOne = () => open(size, undefined, make);

  test('makes the same file as an encoder, and reads it', async () => {
    const codec = openOne();
    for (const length of [0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 9 * MEBIBYTE + 12_345]) {
      const plain = Buffer.concat([words(length >> 1, 1), patchwork(length - (length >> 1), 2)]);
      const packed = await gather(codec.encode(chunks(plain, 100_000), NO_FILE));
      expect(packed.equals(compress(plain)), `${length} bytes`).toBe(true);
      const back = await gather(codec.decode(chunks(packed, 65_536)));
      expect(back.equals(plain), `${length} bytes`).toBe(true);
    }
  });

  test('serves several streams at once without mixing them', async () => {
    const codec = openOne();
    const plains = [1, 2, 3, 4, 5].map((seed) => patchwork(3 * MEBIBYTE + seed, seed));
    const backs = await Promise.all(
      plains.map((plain) => gather(codec.decode(codec.encode(chunks(plain, 300_000), NO_FILE)))),
    );
    expect(backs.map((back, index) => back.equals(plains[index] ?? back.subarray(1)))).toEqual(
      Array(5).fill(true),
    );
  });

  test('reports damage with its byte, and goes on to serve other streams', async () => {
    const codec = openOne();
    const plain = words(5 * MEBIBYTE, 1);
    const packed = compress(plain);
    const broken = Buffer.from(packed);
    const at = packed.length - 100;
    broken[at] = (broken[at] ?? 0) ^ 1;
    await expect(gather(codec.decode(chunks(broken, 65_536)))).rejects.toMatchObject({
      name: 'DataError',
      detail: expect.stringMatching(/, at byte \d{6,}$/),
    });
    expect((await gather(codec.decode(chunks(packed, 65_536)))).equals(plain)).toBe(true);
  });

  test('says that the end is missing', async () => {
    const packed = compress(words(3 * MEBIBYTE, 1));
    const reading = gather(openOne().decode(chunks(packed.subarray(0, -4), 65_536)));
    await expect(reading).rejects.toMatchObject({ detail: expect.stringContaining('end marker is missing') });
  });

  test('passes on an error of its source', async () => {
    async function* failing() {
      yield noise(3 * MEBIBYTE, 1);
      throw new Error('the disk is gone');
    }
    await expect(gather(openOne().encode(failing(), NO_FILE))).rejects.toThrow('the disk is gone');
  });
});

test('one core needs no thread beside the calling one', () => {
  open(1, undefined, openCodec);
  expect(threadsAlive()).toBe(threadsBefore);
});

describe('a pool', () => {
  test('reads ahead only as far as keeps its threads busy', async () => {
    const codec = open(2);
    let asked = 0;
    function* endless() {
      for (;;) {
        asked += 1;
        yield noise(MEBIBYTE, asked);
      }
    }
    const pieces = codec.encode(endless(), NO_FILE);
    for (let taken = 0; taken < 10; taken += 1) await pieces.next();
    expect(asked).toBeLessThanOrEqual(10 + 4);
    await pieces.return(undefined);
  });

  test('runs its jobs on as many threads as it was asked for', async () => {
    const codec = open(3);
    await gather(codec.encode([noise(10 * MEBIBYTE, 1)], NO_FILE));
    if (threadsBefore > 0) expect(threadsAlive()).toBe(threadsBefore + 3);
  });

  test('transfers its buffers instead of copying them, and uses few of them again and again', async () => {
    const codec = open(2);
    const pieces: Uint8Array[] = [];
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for await (const piece of codec.encode(limited(64), NO_FILE)) {
      pieces.push(piece);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    // A buffer that was transferred is empty where it came from. The header and the last few stay here.
    const transferred = pieces.filter(({ buffer }) => buffer.byteLength === 0);
    expect(transferred.length).toBeGreaterThan(64 - 10);
    // Two for each of the four jobs under way, and one that is being filled.
    expect(most).toBeLessThan(16 * MEBIBYTE);
  });

  test('gives its pieces in order although its threads finish them out of order', async () => {
    const codec = open(2);
    // Zeros take a tenth of the time that words take, so every other job overtakes the one before it.
    const plain = Buffer.concat(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? zeros(MEBIBYTE) : words(MEBIBYTE, index + 1))),
    );
    const packed = await gather(codec.encode([plain], NO_FILE));
    expect(packed.equals(compress(plain))).toBe(true);
    expect((await gather(codec.decode(chunks(packed, packed.length)))).equals(plain)).toBe(true);
  });

  test('ends its threads and its streams when the signal aborts', async () => {
    const controller = new AbortController();
    const codec = open(2, controller.signal);
    const pieces = codec.encode(forever(), NO_FILE);
    for (let taken = 0; taken < 5; taken += 1) await pieces.next();
    controller.abort(new Error('enough'));
    await expect(drain(pieces)).rejects.toThrow('enough');
  });

  test('is refused with a signal that has aborted already', () => {
    expect(() => open(2, AbortSignal.abort(new Error('too late')))).toThrow('too late');
  });

  test('rejects what is still running, and whatever comes after, when it is closed', async () => {
    const codec = open(1);
    const pieces = codec.encode(forever(), NO_FILE);
    for (let taken = 0; taken < 3; taken += 1) await pieces.next();
    await codec.close();
    await expect(drain(pieces)).rejects.toThrow('closed');
    await expect(gather(codec.encode([noise(10, 1)], NO_FILE))).rejects.toThrow('closed');
  });
});

function* limited(count: number): Generator<Uint8Array> {
  const bytes = noise(MEBIBYTE, 1);
  for (let done = 0; done < count; done += 1) yield bytes;
}

function* forever(): Generator<Uint8Array> {
  for (let seed = 1; ; seed += 1) yield noise(MEBIBYTE, seed);
}

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(Buffer.from(piece));
  return Buffer.concat(all);
}

async function drain(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of pieces);
}
