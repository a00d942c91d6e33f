/**
 * LZO1X blocks, written from the public description of the stream format
 * (https://docs.kernel.org/staging/lzo.html). The caller puts data at PLAIN or PACKED and finds the result at the
 * other. Everything works on raw addresses: checked arrays cost a third of the speed.
 */
export { adler32 } from './adler32';
export { compress } from './compress';
export { decompress, faultOffset } from './decompress';
export { BLOCK_BYTES, PACKED, PACKED_BYTES, PLAIN, SLAB_BYTES, SLABS, SPARE } from './memory';
