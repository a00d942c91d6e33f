/**
 * The memory that the bytes of a part go through on their way to the thread that extracts it: a few slots, shared by
 * both and used again and again in their order. Buffers that one thread allocates and another leaves to its garbage
 * collection would take memory for as long as that one sees no need.
 */

/** Written by the main thread when nothing of it is underway, read by the other until it says that it was taken. */
export type ChunkSlots = SharedArrayBuffer;

export const SLOT_BYTES = 512 * 1024;
/** As many slots the main thread may be ahead. */
export const SLOTS = 6;

export function createChunkSlots(): ChunkSlots {
  return new SharedArrayBuffer(SLOTS * SLOT_BYTES);
}

/** `turn`: counted from the first slot that was ever used. */
export function slotAt(slots: ChunkSlots, turn: number): Uint8Array {
  return new Uint8Array(slots, (turn % SLOTS) * SLOT_BYTES, SLOT_BYTES);
}
