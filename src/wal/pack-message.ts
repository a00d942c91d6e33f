/** What a thread that packs is told, and what it answers. */
import type { WalFile } from './wal-file.ts';

/** What is listed as slabs moves to the thread, and back with what was made of it. */
export interface PackOrder {
  readonly file: WalFile;
  /** `SLAB_BYTES` each. */
  readonly slabs: readonly Uint8Array[];
}

export interface PackAnswer {
  /** The lzop file, in slabs from the order and new ones. */
  readonly pieces: readonly Uint8Array[];
  readonly unused: readonly Uint8Array[];
  readonly failure?: {
    readonly message: string;
    readonly detail?: string | undefined;
    readonly hint?: string | undefined;
  };
}

/** To be moved rather than copied. */
export function buffersOf(slabs: readonly Uint8Array[]): ArrayBuffer[] {
  return slabs.map(({ buffer }) => buffer as ArrayBuffer);
}
