/** The two checksums of the lzop container. */
import { lzo1x } from './lzo1x.ts';

/** Adler-32 of at most a block. Overwrites the codec's memory. */
export function adler32(bytes: Uint8Array): number {
  const codec = lzo1x();
  codec.memory.set(bytes, codec.plain);
  return codec.adler32(codec.plain, bytes.length);
}

/** CRC-32, which only files made with `lzop --crc32` have: zlib is not loaded for any other. */
export function crc32(bytes: Uint8Array): number {
  return process.getBuiltinModule('node:zlib').crc32(bytes);
}
