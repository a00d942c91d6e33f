/** Who packs: this thread, and further ones. Buffers go round, so that a pool touches no more memory than it needs. */
import { setImmediate } from 'node:timers/promises';
import { packedBound, packInto } from './pack.ts';
import { PackThread } from './pack-thread.ts';
import type { WalFile } from './wal-file.ts';

export interface PackedFile {
  readonly bytes: Uint8Array;
  /** `bytes` are no longer needed; the buffer is used again. */
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
  const buffers = new BufferPool();
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? packHere(buffers) : packElsewhere(buffers, new PackThread()),
  );
}

function packHere(buffers: BufferPool): Packer {
  return {
    depth: 1,
    async pack(file) {
      // Packing blocks this thread: what waits to be done for the puts comes first.
      await setImmediate();
      const buffer = buffers.take(packedBound(file.size));
      return buffers.packed(buffer, packInto(file, new Uint8Array(buffer)));
    },
    async close() {},
  };
}

function packElsewhere(buffers: BufferPool, thread: PackThread): Packer {
  return {
    // It finds its next file waiting, even while this thread is busy packing.
    depth: 2,
    async pack(file) {
      const { target, length } = await thread.pack(file, buffers.take(packedBound(file.size)));
      return buffers.packed(target, length);
    },
    close: () => thread.close(),
  };
}

class BufferPool {
  /** Last in, first out: the buffers that were filled before are filled again. */
  readonly #free: ArrayBuffer[] = [];

  take(bytes: number): ArrayBuffer {
    const buffer = this.#free.pop();
    return buffer !== undefined && buffer.byteLength >= bytes ? buffer : new ArrayBuffer(bytes);
  }

  packed(buffer: ArrayBuffer, length: number): PackedFile {
    return { bytes: new Uint8Array(buffer, 0, length), release: () => this.#free.push(buffer) };
  }
}
