import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { adler32 } from '../../src/codec/checksum.ts';
import { LzopDecoder } from '../../src/codec/decoder.ts';
import { DataError } from '../../src/errors.ts';
import { compress, decompress, hasLzop, lzop } from '../harness/lzop.ts';
import { noise, words } from '../harness/samples.ts';

const HEADER = 38;
const plain = Buffer.concat([words(60, 1), words(40, 1), noise(6, 2)]);

/** Small files of every form that has checksums. */
const forms: [string, Buffer][] = [
  ['our own', compress(plain)],
  ['our own of stored data', compress(noise(50, 1))],
  ['our own of nothing', compress(Buffer.alloc(0))],
];
if (hasLzop) {
  for (const options of [['-9'], ['-CC'], ['--crc32'], ['--crc32', '-CC', '-1'], ['--filter=2']]) {
    forms.push([`lzop ${options.join(' ')}`, lzop(['-c', ...options], plain)]);
  }
}

/** What the decoder said. */
function faultOf(packed: Uint8Array): DataError {
  try {
    decompress(packed);
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error('nothing was found wrong');
}

// A stack for each of some hundred thousand errors would take most of the time.
Error.stackTraceLimit = 0;

describe.each(forms)('in a file of %s', (_, packed) => {
  const whole = decompress(packed);

  test('every change of every byte is found, or changes nothing', () => {
    const unnoticed: number[] = [];
    for (let at = 0; at < packed.length; at += 1) {
      for (let change = 1; change < 256; change += 1) {
        const broken = Buffer.from(packed);
        broken[at] = (broken[at] ?? 0) ^ change;
        try {
          if (!decompress(broken).equals(whole)) throw new Error(`byte ${at} ^ ${change} gave other data`);
          unnoticed.push(at);
        } catch (error) {
          if (!(error instanceof DataError)) throw error;
        }
      }
    }
    // The header's checksum covers all but the magic number, which must be right: nothing goes unnoticed there.
    expect(unnoticed.filter((at) => at < HEADER)).toEqual([]);
  });

  test('every truncation is found', () => {
    for (let length = 0; length < packed.length; length += 1) {
      expect(faultOf(packed.subarray(0, length)).detail, `${length} bytes`).toMatch(
        /^(there is no data|the data ends within|the end marker is missing).*, at byte \d+$/,
      );
    }
  });

  test('anything behind the end marker is found, also a second file', () => {
    for (const more of [Buffer.of(0), Buffer.of(1, 2, 3), packed]) {
      expect(faultOf(Buffer.concat([packed, more])).detail).toBe(
        `more bytes after the end marker, at byte ${packed.length}`,
      );
    }
  });
});

describe('an error says what is wrong and at which byte', () => {
  const file = compress(plain);
  const packedLength = file.readUInt32BE(HEADER + 4);

  function changed(write: (bytes: Buffer) => void): Buffer {
    const bytes = Buffer.from(file);
    write(bytes);
    return bytes;
  }

  test.each<[string, Buffer, string]>([
    ['no bytes', Buffer.alloc(0), 'there is no data, at byte 0'],
    ['another file', Buffer.from('hello'), 'this is not an lzop file: wrong magic number, at byte 0'],
    [
      'a changed magic',
      changed((b) => b.writeUInt8(1, 4)),
      'this is not an lzop file: wrong magic number, at byte 4',
    ],
    ['a cut header', file.subarray(0, 20), 'the data ends within the header, at byte 20'],
    ['a changed header', changed((b) => b.writeUInt8(9, 30)), 'wrong checksum of the header, at byte 34'],
    ['a cut block', file.subarray(0, 60), 'the data ends within a block, at byte 60'],
    ['no end marker', file.subarray(0, -4), `the end marker is missing, at byte ${file.length - 4}`],
    ['a cut end marker', file.subarray(0, -1), `the data ends within a block, at byte ${file.length - 1}`],
    [
      'a wrong checksum',
      changed((b) => b.writeUInt8(1, HEADER + 8)),
      `wrong checksum of a block, at byte ${HEADER + 8}`,
    ],
    [
      'too long a block',
      changed((b) => b.writeUInt32BE(262_145, HEADER)),
      'a block of 262145 bytes, which lzop never writes, at byte 38',
    ],
    [
      'a block that grew',
      changed((b) => b.writeUInt32BE(400, HEADER + 4)),
      'a block of 106 bytes compressed to 400, at byte 42',
    ],
    [
      'an empty block',
      changed((b) => b.writeUInt32BE(0, HEADER + 4)),
      'a block of 106 bytes compressed to 0, at byte 42',
    ],
    [
      'a longer block',
      changed((b) => b.writeUInt32BE(107, HEADER)),
      `less data than the block says, at byte ${HEADER + 12 + packedLength - 3}`,
    ],
  ])('%s', (_, packed, detail) => {
    expect(faultOf(packed).detail).toBe(detail);
  });

  test.each([
    ['adler32-both.lzo', HEADER + 8, ''],
    ['adler32-both.lzo', HEADER + 12, ' before decompression'],
    ['crc32-both.lzo', HEADER + 8, ''],
    ['crc32-both.lzo', HEADER + 12, ' before decompression'],
  ])('a wrong checksum of %s at byte %i', (name, at, when) => {
    const bytes = readFileSync(new URL(`../../fixtures/lzop/${name}`, import.meta.url));
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    expect(faultOf(bytes).detail).toBe(`wrong checksum of a block${when}, at byte ${at}`);
  });

  test('compressed data that does not match its checksum is not decompressed', () => {
    const bytes = readFileSync(new URL('../../fixtures/lzop/adler32-both.lzo', import.meta.url));
    bytes.writeUInt8(bytes.readUInt8(HEADER + 40) ^ 1, HEADER + 40);
    const at = HEADER + 12;
    expect(faultOf(bytes).detail).toBe(`wrong checksum of a block before decompression, at byte ${at}`);
  });

  test('in each block counted from the start of the file', () => {
    const long = compress(words(600_000, 1));
    const second = HEADER + 12 + long.readUInt32BE(HEADER + 4);
    long.writeUInt8(77, second + 8);
    expect(faultOf(long).detail).toBe(`wrong checksum of a block, at byte ${second + 8}`);
  });

  test.each<[string, (bytes: Buffer) => void, string]>([
    ['a version before 0.94', (b) => b.writeUInt16BE(0x0930, 9), 'made by lzop version 0x930, at byte 9'],
    ['a later version', (b) => b.writeUInt16BE(0x2000, 13), 'needs lzop version 0x2000, at byte 13'],
    ['another method', (b) => b.writeUInt8(128, 15), 'method 128, at byte 15'],
    ['no method', (b) => b.writeUInt8(0, 15), 'method 0, at byte 15'],
    ['an extra field', (b) => b.writeUInt32BE(0x41, 17), 'a header with an extra field, at byte 17'],
    ['several parts', (b) => b.writeUInt32BE(0x401, 17), 'an archive of several parts, at byte 17'],
    ['flags without a meaning', (b) => b.writeUInt32BE(0x10001, 17), 'flags 0x10001, at byte 17'],
  ])('%s is not supported, which is not damage', (_, write, detail) => {
    expect(faultOf(changed(write))).toMatchObject({
      message: expect.stringContaining('not supported'),
      detail,
    });
  });

  test.skipIf(!hasLzop)('a filter beyond 16 is not supported', () => {
    const filtered = lzop(['-c', '--filter=3'], plain);
    filtered.writeUInt32BE(17, 21);
    filtered.writeUInt32BE(adler32(filtered.subarray(9, HEADER)), HEADER);
    expect(faultOf(filtered).detail).toBe('filter 17, at byte 21');
  });
});

test('blocks before the damage are given out, since their checksums were right', () => {
  const packed = compress(words(600_000, 1));
  const given: Uint8Array[] = [];
  expect(() => {
    for (const block of new LzopDecoder().push(packed.fill(0, packed.length - 200))) given.push(block);
  }).toThrow(DataError);
  expect(Buffer.concat(given).equals(words(600_000, 1).subarray(0, 2 * 262_144))).toBe(true);
});

describe('memory is not taken for what a file claims but does not have:', () => {
  /** Bytes of all buffers that come to life while `decoders` are at work on the same file. */
  function taken(file: Uint8Array, decoders: readonly LzopDecoder[]): number {
    const before = process.memoryUsage().arrayBuffers;
    for (const decoder of decoders) {
      try {
        for (const plain of decoder.push(file)) expect(plain.length).toBe(0);
        decoder.end();
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
      }
    }
    return process.memoryUsage().arrayBuffers - before;
  }

  function claiming(plainLength: number, packedLength: number): Buffer {
    const file = Buffer.alloc(HEADER + 12);
    compress(noise(100, 1)).copy(file, 0, 0, HEADER);
    file.writeUInt32BE(plainLength, HEADER);
    file.writeUInt32BE(packedLength, HEADER + 4);
    return file;
  }

  test.each<[string, Buffer, number]>([
    ['a full block costs one buffer of its size', claiming(262_144, 262_144), 300_000],
    ['so does one that claims to be tiny compressed', claiming(262_144, 1), 300_000],
    ['a block of 4 GiB costs nothing', claiming(0xffff_ffff, 0xffff_ffff), 1000],
    ['nor does one just too long', claiming(262_145, 262_145), 1000],
    ['nor one that grew to 2 GiB', claiming(1, 0x8000_0000), 1000],
  ])('%s', (_, file, atMost) => {
    const decoders = Array.from({ length: 20 }, () => new LzopDecoder());
    expect(taken(file, decoders)).toBeLessThan(20 * atMost);
    // Held until here, so that nothing is collected in between.
    expect(decoders).toHaveLength(20);
  });

  test('a name of 255 bytes, the longest that fits, costs no more than a block', () => {
    const file = claiming(1, 1);
    file.writeUInt8(255, HEADER - 5);
    const decoders = Array.from({ length: 20 }, () => new LzopDecoder());
    expect(taken(file, decoders)).toBeLessThan(20 * 300_000);
    expect(decoders).toHaveLength(20);
  });
});
