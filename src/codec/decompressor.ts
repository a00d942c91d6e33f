/** Decompression of many objects or large ones, on whatever threads. */
export interface Decompressor {
  /** The plain data of one lzop file, in pieces that are valid until the next one is asked for. Throws DataError. */
  decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}
