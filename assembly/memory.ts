/**
 * The whole memory of the codec, at fixed addresses: WebAssembly stops only an access outside of all memory, so each
 * function checks its own bounds, and every buffer is followed by SLACK bytes that a copy in wide steps may overrun.
 *
 *   TABLE   hash table of the compressor: 2^12 addresses of 32 bits
 *   SPARE   untouched by the codec: one data page of a database, for the module that checks pages in this memory
 *   PLAIN   one block of plain data, at most 256 KiB, behind room for a block header
 *   PACKED  the same block compressed, also behind room for a block header
 *   SLABS   two of SLAB_BYTES, for callers that have blocks compressed one behind the other
 */
export const TABLE_BITS: u32 = 12;
export const TABLE_BYTES: usize = 4 << TABLE_BITS;
export const SLACK: usize = 256;
const HEADER_ROOM: usize = 64;

export const TABLE: usize = 0;
export const BLOCK_BYTES: usize = 256 * 1024;
export const SPARE: usize = TABLE + TABLE_BYTES;
const SPARE_BYTES: usize = 32 * 1024;
/**
 * Farther from address 0, which stands in the table for none, than any match can be; and a multiple of 64, since the kernel
 * takes four times as long to copy what is read from a file to an address that is none of 32.
 */
export const PLAIN: usize = SPARE + SPARE_BYTES + HEADER_ROOM;
export const PACKED: usize = PLAIN + BLOCK_BYTES + SLACK + HEADER_ROOM;
/** LZO1X grows data that does not compress by at most one byte in sixteen, and a few. */
export const PACKED_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 16 + SLACK;
export const SLABS: usize = PACKED + PACKED_BYTES;
/** What is to be in a slab at most, and another block. */
export const SLAB_BYTES: usize = 256 * 1024 + HEADER_ROOM + PACKED_BYTES;
