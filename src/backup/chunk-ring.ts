/**
 * The memory that a worker's chunks go through on their way to the main thread: a few slots, shared by the two threads
 * and used again and again in their order. Nothing is allocated for a chunk, so memory does not depend on when garbage
 * is collected, nor on what the allocator makes of buffers that one thread takes and another gives back.
 */

export interface ChunkRing {
  readonly slots: SharedArrayBuffer;
  /** One 32-bit cell: slots that nobody uses. */
  readonly free: SharedArrayBuffer;
}

export const CHUNK_BYTES = 1024 * 1024;
/** One is being filled; as many as are left the worker may be ahead of the main thread. */
const SLOTS = 5;

export function createChunkRing(): ChunkRing {
  const free = new SharedArrayBuffer(4);
  new Int32Array(free)[0] = SLOTS;
  return { slots: new SharedArrayBuffer(SLOTS * CHUNK_BYTES), free };
}

/** The worker's end. */
export class ChunkWriter {
  readonly #ring: ChunkRing;
  readonly #free: Int32Array;
  #next = 0;
  #open: Uint8Array | undefined;

  constructor(ring: ChunkRing) {
    this.#ring = ring;
    this.#free = new Int32Array(ring.free);
  }

  /** The slot to fill, the same until it is `sent`. Blocks while all are in use; only for worker threads. */
  slot(): Uint8Array {
    if (this.#open === undefined) {
      while (Atomics.load(this.#free, 0) <= 0) Atomics.wait(this.#free, 0, 0);
      Atomics.sub(this.#free, 0, 1);
      this.#open = slotAt(this.#ring, this.#next);
      this.#next = (this.#next + 1) % SLOTS;
    }
    return this.#open;
  }

  /** The other end was told of it. */
  sent(): void {
    this.#open = undefined;
  }
}

/** The main thread's end. */
export class ChunkReader {
  readonly #ring: ChunkRing;
  readonly #free: Int32Array;
  #next = 0;

  constructor(ring: ChunkRing) {
    this.#ring = ring;
    this.#free = new Int32Array(ring.free);
  }

  /** The chunk that the worker told of next; to be given back by `done` before another is taken. */
  take(bytes: number): Uint8Array {
    return slotAt(this.#ring, this.#next).subarray(0, bytes);
  }

  done(): void {
    this.#next = (this.#next + 1) % SLOTS;
    Atomics.add(this.#free, 0, 1);
    Atomics.notify(this.#free, 0);
  }

  /** The worker has filled all that it may. */
  isFull(): boolean {
    return Atomics.load(this.#free, 0) <= 0;
  }
}

function slotAt({ slots }: ChunkRing, index: number): Uint8Array {
  return Buffer.from(slots, index * CHUNK_BYTES, CHUNK_BYTES);
}
