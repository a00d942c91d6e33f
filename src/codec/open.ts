/** Opens what decompresses many objects or large ones. */
import { decodeLzop } from './decoder.ts';
import type { Decompressor } from './decompressor.ts';
import { createDecompressorPool, type PoolOptions } from './pool.ts';

/**
 * A pool of threads, or the calling thread where there is but one core: a thread beside it would have to share that.
 * Must be closed.
 */
export function openDecompressor(options: PoolOptions): Decompressor {
  return options.size > 1 ? createDecompressorPool(options) : CALLING_THREAD;
}

const CALLING_THREAD: Decompressor = { decode: decodeLzop, async close() {} };
