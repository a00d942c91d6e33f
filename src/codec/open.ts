/** The codec for many objects or large ones. */
import type { Codec } from './codec.ts';
import { decodeLzop } from './decoder.ts';
import { encodeLzop } from './encoder.ts';
import { createCodecPool, type PoolOptions } from './pool.ts';

/**
 * A pool of threads, or the calling thread where there is but one core: a thread beside it would have to share that.
 * Must be closed.
 */
export function openCodec(options: PoolOptions): Codec {
  return options.size > 1 ? createCodecPool(options) : CALLING_THREAD;
}

const CALLING_THREAD: Codec = { encode: encodeLzop, decode: decodeLzop, async close() {} };
