/**
 * Regroups a byte stream into blocks of exactly `size` bytes, the last one shorter; nothing for an empty stream. A
 * block is valid until the next one is asked for: it is a part of the source's chunk, or a buffer that is used again.
 */
export async function* blocks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array | undefined;
  let filled = 0;
  for await (const chunk of source) {
    let at = 0;
    while (at < chunk.length) {
      if (filled === 0 && chunk.length - at >= size) {
        yield chunk.subarray(at, at + size);
        at += size;
        continue;
      }
      gathered ??= Buffer.allocUnsafeSlow(size);
      const taken = Math.min(size - filled, chunk.length - at);
      gathered.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled === size) {
        yield gathered;
        filled = 0;
      }
    }
  }
  if (gathered && filled > 0) yield gathered.subarray(0, filled);
}
