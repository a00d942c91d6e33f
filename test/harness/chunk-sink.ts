/** What takes the chunks of a part in place of a worker's ring: one piece of memory, used again and again like its slots. */
import { CHUNK_BYTES } from '../../src/backup/chunk-ring.ts';
import type { ChunkSink } from '../../src/backup/part-writer.ts';

export interface CollectingSink extends ChunkSink {
  readonly chunks: readonly Uint8Array[];
  /** All chunks as one. */
  object(): Buffer;
}

export function createCollectingSink(): CollectingSink {
  const slot = Buffer.alloc(CHUNK_BYTES);
  const chunks: Uint8Array[] = [];
  return {
    chunks,
    room: () => slot,
    send(bytes) {
      chunks.push(Buffer.from(slot.subarray(0, bytes)));
      slot.fill(0xff);
    },
    object: () => Buffer.concat(chunks),
  };
}
