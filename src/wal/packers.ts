/** Who packs: this thread, and further ones. Slabs go round, so that a pool touches no more memory than it needs. */
import { setImmediate } from 'node:timers/promises';
import { packInto, SLAB_BYTES } from './pack.ts';
import { PackThread } from './pack-thread.ts';
import type { WalFile } from './wal-file.ts';

export interface PackedFile {
  readonly pieces: readonly Uint8Array[];
  /** Of all pieces. */
  readonly bytes: number;
  /** Nobody reads the pieces any more; their memory is used again. */
  release(): void;
}

export interface Packer {
  /** Files that it is worth giving it at a time. */
  readonly depth: number;
  pack(file: WalFile): Promise<PackedFile>;
  close(): Promise<void>;
}

/** The first is this thread, which has no start to wait for. */
export function createPackers(count: number): Packer[] {
  const slabs = new SlabPool();
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? packHere(slabs) : packElsewhere(slabs, new PackThread()),
  );
}

function packHere(slabs: SlabPool): Packer {
  return {
    depth: 1,
    async pack(file) {
      const pieces: Uint8Array[] = [];
      const made = packInto(file, () => slabs.take());
      // Packing blocks this thread: what waits to be done for the puts, and for other threads, comes first, again and again.
      for (await setImmediate(); ; await setImmediate()) {
        const next = made.next();
        if (next.done === true) return slabs.packed(pieces);
        pieces.push(next.value);
      }
    },
    async close() {},
  };
}

function packElsewhere(slabs: SlabPool, thread: PackThread): Packer {
  return {
    // It finds its next file waiting, even while this thread is busy packing.
    depth: 2,
    async pack(file) {
      const { pieces, unused } = await thread.pack(file, slabs.takeFree());
      slabs.giveBack(unused);
      return slabs.packed(pieces);
    },
    close: () => thread.close(),
  };
}

class SlabPool {
  /** Last in, first out: what was touched last is still in the processor's cache. */
  readonly #free: Uint8Array[] = [];
  /** Slabs of the last file: the next will take about as many. */
  #usual = 0;

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(SLAB_BYTES);
  }

  /** For another thread: what a file will take, as far as it is there. */
  takeFree(): Uint8Array[] {
    return this.#free.splice(-this.#usual, this.#usual);
  }

  giveBack(slabs: readonly Uint8Array[]): void {
    this.#free.push(...slabs);
  }

  packed(pieces: readonly Uint8Array[]): PackedFile {
    this.#usual = pieces.length;
    return {
      pieces,
      bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
      release: () => this.giveBack(pieces.map(({ buffer }) => new Uint8Array(buffer as ArrayBuffer))),
    };
  }
}
