/** The names that the lzop container gives to its bytes (docs/lzop.md). All numbers in it are big-endian. */
export const MAGIC = Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a);

/** Versions of lzop and its library that write what we write. */
export const LZOP_VERSION = 0x1040;
export const LIBRARY_VERSION = 0x20a0;
/** The oldest lzop that can read it, and the oldest whose files we read: older ones (1997) have another header. */
export const VERSION_NEEDED = 0x0940;

/** LZO1X-1. Methods 2 and 3 are LZO1X-1(15) and LZO1X-999: other compressors, the same stream. */
export const METHOD = 1;
export const LAST_METHOD = 3;
export const LEVEL = 5;

export const FLAG = {
  plainAdler32: 0x1,
  packedAdler32: 0x2,
  fromStdin: 0x4,
  toStdout: 0x8,
  extraField: 0x40,
  plainCrc32: 0x100,
  packedCrc32: 0x200,
  multipart: 0x400,
  filter: 0x800,
  headerCrc32: 0x1000,
  /** Bits that no lzop has given a meaning. */
  reserved: 0x000f_c000,
  unix: 0x0300_0000,
} as const;

/** Lengths (plain, packed) and checksum in front of each block that we write. */
export const BLOCK_HEADER_BYTES = 12;
