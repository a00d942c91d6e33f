/** One block of an lzop file: two lengths, checksums, compressed or stored data. */
import { crc32 } from './checksum.ts';
import { damaged } from './damage.ts';
import { BLOCK_HEADER_BYTES, FLAG } from './format.ts';
import type { BlockFormat } from './header.ts';
import { BLOCK_BYTES, type Lzo1x, lzo1x } from './lzo1x.ts';

/** No block is longer than this, whatever its checksums: two lengths, four checksums, data. */
export const LONGEST_BLOCK = 6 * 4 + BLOCK_BYTES;

const FAULTS = [
  'the data ends within an instruction',
  'more data than the block says',
  'a match reaches back before the start of the block',
  'less data than the block says',
  'bytes left behind the end of the block',
];

/**
 * Compresses 1 to 262144 bytes. Returns the whole block as a view of the codec's memory, valid until its next use;
 * nothing is copied when `plain` lies where the codec wants it already.
 */
export function packBlock(plain: Uint8Array): Uint8Array {
  const codec = lzo1x();
  const { length } = plain;
  const checksum = takeIn(codec, plain);
  const packedLength = codec.compress(length, codec.packed);
  // What does not shrink is stored: the two lengths are then equal.
  const stored = packedLength === 0;
  const body = stored ? codec.plain : codec.packed;
  const bodyLength = stored ? length : packedLength;
  putHeader(codec, body - BLOCK_HEADER_BYTES, { length, bodyLength, checksum });
  return codec.memory.subarray(body - BLOCK_HEADER_BYTES, body + bodyLength);
}

/**
 * The same to `address`, which begins room for a header and `packedBytes` of compressed data in a slab of the codec.
 * Returns the block's length.
 */
export function packBlockTo(address: number, plain: Uint8Array): number {
  const codec = lzo1x();
  const { length } = plain;
  const checksum = takeIn(codec, plain);
  const body = address + BLOCK_HEADER_BYTES;
  const packedLength = codec.compress(length, body);
  const stored = packedLength === 0;
  if (stored) codec.memory.copyWithin(body, codec.plain, codec.plain + length);
  const bodyLength = stored ? length : packedLength;
  putHeader(codec, address, { length, bodyLength, checksum });
  return BLOCK_HEADER_BYTES + bodyLength;
}

/** Has the data where the codec wants it; returns its checksum, made before anything else works on the data. */
function takeIn(codec: Lzo1x, plain: Uint8Array): number {
  const { length } = plain;
  if (length === 0 || length > BLOCK_BYTES) throw new RangeError(`block of ${length} bytes`);
  if (plain.buffer !== codec.memory.buffer || plain.byteOffset !== codec.plain)
    codec.memory.set(plain, codec.plain);
  return codec.adler32(codec.plain, length);
}

interface BlockHeader {
  readonly length: number;
  readonly bodyLength: number;
  readonly checksum: number;
}

function putHeader({ view }: Lzo1x, at: number, { length, bodyLength, checksum }: BlockHeader): void {
  view.setUint32(at, length);
  view.setUint32(at + 4, bodyLength);
  view.setUint32(at + 8, checksum);
}

/**
 * How long the block is, as far as its first `bytes` tell: it is complete when they are at least as many. 4 with a
 * complete one means that it is the end marker. `at`: its position in the file.
 */
export function blockLength(bytes: Buffer, { flags }: BlockFormat, at: number): number {
  if (bytes.length < 4) return 4;
  const plainLength = bytes.readUInt32BE(0);
  if (plainLength === 0) return 4;
  if (plainLength > BLOCK_BYTES)
    throw damaged(`a block of ${plainLength} bytes, which lzop never writes`, at);
  if (bytes.length < 8) return 8;
  const packedLength = bytes.readUInt32BE(4);
  if (packedLength === 0 || packedLength > plainLength) {
    throw damaged(`a block of ${plainLength} bytes compressed to ${packedLength}`, at + 4);
  }
  return 8 + checksumBytes(flags, packedLength === plainLength) + packedLength;
}

/** Decompresses a complete block and checks it. Returns a view of the codec's memory, valid until its next use. */
export function unpackBlock(block: Buffer, format: BlockFormat, at: number): Uint8Array {
  const codec = lzo1x();
  const plainLength = block.readUInt32BE(0);
  const packedLength = block.readUInt32BE(4);
  const stored = plainLength === packedLength;
  const bodyAt = block.length - packedLength;
  const body = block.subarray(bodyAt);
  codec.memory.set(body, stored ? codec.plain : codec.packed);
  if (!stored) {
    checkPacked(codec, block, body, format.flags, at);
    const fault = codec.decompress(packedLength, plainLength);
    if (fault < 0) throw damaged(FAULTS[-fault - 1] ?? `fault ${fault}`, at + bodyAt + codec.faultOffset());
  }
  const plain = codec.memory.subarray(codec.plain, codec.plain + plainLength);
  if (format.filter > 0) undoFilter(plain, format.filter);
  let field = 8;
  if (format.flags & FLAG.plainAdler32) {
    if (block.readUInt32BE(field) !== codec.adler32(codec.plain, plainLength))
      throw wrongChecksum('', at + field);
    field += 4;
  }
  if (format.flags & FLAG.plainCrc32 && block.readUInt32BE(field) !== crc32(plain))
    throw wrongChecksum('', at + field);
  return plain;
}

function checkPacked(codec: Lzo1x, block: Buffer, body: Uint8Array, flags: number, at: number): void {
  let field = 8 + checksumBytes(flags, true);
  if (flags & FLAG.packedAdler32) {
    if (block.readUInt32BE(field) !== codec.adler32(codec.packed, body.length)) {
      throw wrongChecksum(' before decompression', at + field);
    }
    field += 4;
  }
  if (flags & FLAG.packedCrc32 && block.readUInt32BE(field) !== crc32(body)) {
    throw wrongChecksum(' before decompression', at + field);
  }
}

function wrongChecksum(when: string, at: number): Error {
  return damaged(`wrong checksum of a block${when}`, at);
}

function checksumBytes(flags: number, stored: boolean): number {
  const of = stored
    ? FLAG.plainAdler32 | FLAG.plainCrc32
    : FLAG.plainAdler32 | FLAG.plainCrc32 | FLAG.packedAdler32 | FLAG.packedCrc32;
  let bytes = 0;
  for (let rest = flags & of; rest !== 0; rest &= rest - 1) bytes += 4;
  return bytes;
}

function undoFilter(plain: Uint8Array, distance: number): void {
  for (let at = distance; at < plain.length; at++) plain[at] = (plain[at] ?? 0) + (plain[at - distance] ?? 0);
}
