import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeLzop, LzopDecoder } from '../../src/codec/decoder.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { compress, decompress, hasLzop, lzop, NO_FILE } from '../harness/lzop.ts';
import { retained } from '../harness/retained.ts';
import { noise, patchwork, words, zeros } from '../harness/samples.ts';
import { createScratch } from '../harness/scratch.ts';

const GOLDEN = new URL('../../fixtures/golden/seg1/archive/', import.meta.url).pathname;

/** Made with the options that its README names. */
const LZOP_FILES = new URL('../../fixtures/lzop/', import.meta.url).pathname;

/** Every way to write a file that lzop has. */
const LEVELS = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((level) => `-${level}`);
const CHECKSUMS = [[], ['-F'], ['-CC'], ['--crc32'], ['--crc32', '-CC'], ['-F', '-CC']];
const FILTERS = [1, 2, 3, 4, 7, 16].map((filter) => `--filter=${filter}`);

describe.skipIf(!hasLzop)('what lzop writes is read', () => {
  const plain = Buffer.concat([
    words(300_000, 1),
    patchwork(300_000, 2),
    noise(300_000, 3),
    zeros(300_000),
    noise(13, 4),
  ]);

  test.each(LEVELS)('at level %s with every choice of checksums', (level) => {
    for (const checksums of CHECKSUMS) {
      expect(decompress(lzop(['-c', level, ...checksums], plain)).equals(plain), checksums.join(' ')).toBe(
        true,
      );
    }
  });

  test('[arc-16] at every level with the method of that level: LZO1X-1(15), LZO1X-1 and LZO1X-999', () => {
    const methods = LEVELS.map((level) => lzop(['-c', level], plain).readUInt8(15));
    expect(methods).toEqual([2, 1, 1, 1, 1, 1, 3, 3, 3]);
  });

  test.each(['--fast', '--best', '--no-mode', '--no-time', '--no-name', '--threads=2', '-k'])(
    'with %s',
    (option) => {
      expect(decompress(lzop(['-c', option], plain)).equals(plain)).toBe(true);
    },
  );

  test('from a file into a file, with mode and time of the file in the header', () => {
    const folder = createScratch();
    const source = join(folder, 'source');
    writeFileSync(source, plain);
    chmodSync(source, 0o640);
    for (const options of [[], ['-o', join(folder, 'target')], ['-U', '-S', '.other']]) {
      expect(spawnSync('lzop', ['-f', ...options, source]).status).toBe(0);
      const name = options[0] === '-o' ? 'target' : options[0] === '-U' ? 'source.other' : 'source.lzo';
      const packed = readFileSync(join(folder, name));
      expect(packed.readUInt32BE(21)).toBe(0o100640);
      expect(decompress(packed).equals(plain), options.join(' ')).toBe(true);
    }
  });

  test('[arc-17] but several files at once are refused, marked as parts of one or one behind the other', () => {
    const folder = createScratch();
    for (const name of ['a', 'b']) writeFileSync(join(folder, name), name);
    const { stdout } = spawnSync('lzop', ['-c', 'a', 'b'], { cwd: folder });
    const refused = (detail: string) => expect.objectContaining({ detail: expect.stringContaining(detail) });
    expect(() => decompress(stdout)).toThrow(refused('an archive of several parts'));
    const two = Buffer.concat([lzop(['-c'], zeros(9)), lzop(['-c'], zeros(9))]);
    expect(() => decompress(two)).toThrow(refused('more bytes after the end marker'));
  });

  test('with the name of the file, its path, and without', () => {
    const folder = createScratch();
    mkdirSync(join(folder, 'deeper'));
    const name = `deeper/${'n'.repeat(200)}`;
    writeFileSync(join(folder, name), plain);
    for (const options of [['-N'], ['-P'], ['-n'], ['-P', '--crc32']]) {
      const { stdout } = spawnSync('lzop', ['-c', ...options, name], { cwd: folder, maxBuffer: 2 ** 30 });
      expect(decompress(stdout).equals(plain), options.join(' ')).toBe(true);
      expect(decompress(stdout, 1000).equals(plain), options.join(' ')).toBe(true);
    }
  });

  test.each(FILTERS)('with %s', (filter) => {
    expect(decompress(lzop(['-c', filter], plain)).equals(plain)).toBe(true);
    expect(decompress(lzop(['-c', filter, '-9', '--crc32'], plain)).equals(plain)).toBe(true);
  });
});

describe('a file of lzop is read, wherever the tests run:', () => {
  const data = Buffer.concat([words(3000, 1), noise(300, 2), zeros(700), words(500, 3)]);

  test.each([
    ['level-1.lzo', 2, 0x0300000d],
    ['level-5.lzo', 1, 0x0300000d],
    ['level-7.lzo', 3, 0x0300000d],
    ['level-9.lzo', 3, 0x0300000d],
    ['no-checksum.lzo', 1, 0x0300000c],
    ['adler32-both.lzo', 1, 0x0300000f],
    ['crc32-both.lzo', 3, 0x0300130c],
    ['filter-3.lzo', 1, 0x0300080d],
    ['named.lzo', 1, 0x03000009],
    ['stored.lzo', 1, 0x0300000d],
  ])('%s, of method %i and flags %i', (name, method, flags) => {
    const packed = readFileSync(join(LZOP_FILES, name));
    expect([packed.readUInt8(15), packed.readUInt32BE(17)]).toEqual([method, flags]);
    const plain = name === 'stored.lzo' ? noise(500, 4) : data;
    expect(decompress(packed).equals(plain)).toBe(true);
    expect(decompress(packed, 7).equals(plain)).toBe(true);
  });
});

describe('a file that lzop made for the original', () => {
  const objects = readdirSync(GOLDEN, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.lzo'),
  );

  test('is there to be tested', () => {
    expect(objects).toHaveLength(8);
  });

  test.each(objects)('%s is read, and packed again by us is not larger', (name) => {
    const packed = readFileSync(join(GOLDEN, name));
    const plain = decompress(packed);
    if (/wal_005.[0-9A-F]{24}.lzo$/.test(name)) expect(plain).toHaveLength(1024 * 1024);
    if (hasLzop) expect(lzop(['-d'], packed).equals(plain)).toBe(true);
    expect(decompress(packed, 1000).equals(plain)).toBe(true);
    expect(compress(plain).length).toBeLessThanOrEqual(packed.length);
  });
});

describe('a file in chunks', () => {
  test('of any size gives the same bytes', () => {
    const plain = Buffer.concat([words(20_000, 1), noise(300_000, 2), words(10, 3)]);
    const packed = compress(plain);
    for (const chunkBytes of [1, 2, 3, 7, 37, 38, 39, 4096, 65_536, packed.length - 1]) {
      expect(decompress(packed, chunkBytes).equals(plain), `chunks of ${chunkBytes}`).toBe(true);
    }
  });

  test('is decoded as it arrives: a block is there as soon as its last byte is', () => {
    const packed = compress(noise(1000, 1));
    const decoder = new LzopDecoder();
    expect([...decoder.push(packed.subarray(0, 38 + 12 + 999))]).toEqual([]);
    expect([...decoder.push(packed.subarray(38 + 12 + 999, 38 + 12 + 1000))]).toHaveLength(1);
  });

  test('gives blocks that stay as they are, or views that the next one overwrites', () => {
    const packed = compress(Buffer.concat([zeros(262_144), noise(262_144, 1)]));
    const kept = [...new LzopDecoder().push(packed)];
    expect(kept[0]?.every((byte) => byte === 0)).toBe(true);
    const views = [...new LzopDecoder().pushViews(packed)];
    expect(Buffer.compare(views[0] ?? zeros(1), views[1] ?? zeros(2))).toBe(0);
  });
});

test('memory does not grow with the data: a gigabyte goes through as a megabyte does', () => {
  const encoder = new LzopEncoder(NO_FILE);
  const decoder = new LzopDecoder();
  const block = encoder.input();
  const decoded = (piece: Uint8Array) => {
    let bytes = 0;
    // As it comes from a network: in pieces that know nothing of blocks.
    for (let at = 0; at < piece.length; at += 50_000) {
      for (const plain of decoder.pushViews(piece.subarray(at, at + 50_000))) bytes += plain.length;
    }
    return bytes;
  };
  decoded(encoder.header());
  let most = 0;
  let given = 0;
  const before = retained().arrayBuffers;
  for (let round = 0; round < 4096; round += 1) {
    block.fill(round, 0, 1000);
    given += decoded(encoder.block(block));
    if (round % 256 === 0) most = Math.max(most, retained().arrayBuffers - before);
  }
  decoded(encoder.end());
  decoder.end();
  expect(given).toBe(2 ** 30);
  expect(most).toBeLessThan(2 ** 20);
});

describe('decodeLzop', () => {
  test('decodes an async source', async () => {
    const plain = patchwork(600_000, 1);
    const packed = compress(plain);
    async function* source() {
      for (let at = 0; at < packed.length; at += 10_000) yield packed.subarray(at, at + 10_000);
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of decodeLzop(source())) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(plain)).toBe(true);
  });
});
