/** What compressor and decompressor both know of the instructions of LZO1X. */

/** Farthest distances of the three kinds of match: two bytes (M2), three (M3), three and farther (M4). */
export const M2_DISTANCE: usize = 2048;
export const M3_DISTANCE: usize = 16384;
export const M4_DISTANCE: usize = 49151;

/** Longest lengths that the first byte of an instruction can hold; longer ones take further bytes. */
export const M2_LENGTH: usize = 8;
export const M3_LENGTH: usize = 33;
export const M4_LENGTH: usize = 9;
export const LITERAL_LENGTH: usize = 18;

/** The first byte of a block can be a literal run of its own kind: 17 + length. */
export const FIRST_RUN_BASE: u32 = 17;
export const FIRST_RUN_LENGTH: usize = 238;

export const M2_MARKER: u32 = 64;
export const M3_MARKER: u32 = 32;
export const M4_MARKER: u32 = 16;
/** Ends each block: an M4 match at distance 16384, which nothing else uses; its bytes are 0x11 0 0. */
export const END_MARKER: u32 = 0x11;
export const END_BYTES: usize = 3;
