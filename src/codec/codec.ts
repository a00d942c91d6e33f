/** One interface for the codec, wherever it runs. */
import type { LzopHeader } from './header.ts';

export interface Codec {
  /**
   * The pieces of one lzop file, each valid until the next one is asked for. `plain` must not change a chunk before it
   * is asked for the next.
   */
  encode(
    plain: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    header: LzopHeader,
  ): AsyncGenerator<Uint8Array>;
  /** The plain data of one lzop file, in pieces that are valid until the next one is asked for. Throws DataError. */
  decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}
