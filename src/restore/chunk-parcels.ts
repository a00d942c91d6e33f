/**
 * Chunks of a download -> parcels that can be handed to another thread without a copy. A chunk that has its memory to
 * itself is handed over as it is; smaller pieces, and views of memory that others use too, are gathered first.
 */
const PARCEL_BYTES = 512 * 1024;
const MIN_PARCEL_BYTES = 64 * 1024;

/** The source's chunks must not be used by anybody else afterwards (what a store yields belongs to its reader). */
export async function* parcels(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let gathered = new Uint8Array(PARCEL_BYTES);
  let filled = 0;
  for await (const chunk of source) {
    if (ownsMemory(chunk)) {
      if (filled > 0) yield gathered.slice(0, filled);
      filled = 0;
      yield chunk;
      continue;
    }
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(chunk.length - at, PARCEL_BYTES - filled);
      gathered.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < PARCEL_BYTES) continue;
      yield gathered;
      gathered = new Uint8Array(PARCEL_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield gathered.subarray(0, filled);
}

function ownsMemory(chunk: Uint8Array): chunk is Uint8Array<ArrayBuffer> {
  return (
    chunk.length >= MIN_PARCEL_BYTES &&
    chunk.buffer instanceof ArrayBuffer &&
    chunk.buffer.byteLength === chunk.length
  );
}
