/**
 * The codec's WebAssembly module (`assembly/`), loaded when it is first used. There is one for each thread; every call
 * is synchronous and leaves nothing in the module's memory that a later call relies on, so all streams share it.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';

/** Bytes of plain data in a full block: what lzop writes, and the most that we write or read. */
export const BLOCK_BYTES = 256 * 1024;

export interface Lzo1x {
  /** All of the module's memory, which never grows. */
  readonly memory: Uint8Array;
  readonly view: DataView;
  /** The same, for another module to work on what lies in it. */
  readonly sharedMemory: WebAssembly.Memory;
  /** Address of 32 KiB that the codec never touches. */
  readonly spare: number;
  /** Address of one block of plain data. In front of it and of `packed` there is free room (HEADER_ROOM in assembly/memory.ts). */
  readonly plain: number;
  /** Address of the same block compressed. */
  readonly packed: number;
  /** The most that `compress` writes. */
  readonly packedBytes: number;
  /** Addresses of two more rooms: `slabBytes` each, for one block after the other. */
  readonly slabs: readonly [number, number];
  readonly slabBytes: number;
  /**
   * Compresses `length` bytes at `plain` to `packed`, or to `packedBytes` of a slab; returns the compressed length, or 0
   * when it would not be less.
   */
  compress(length: number, to: number): number;
  /** Decompresses from `packed` to `plain`, where exactly `plainLength` bytes must come out. Returns 0 or a negative fault. */
  decompress(packedLength: number, plainLength: number): number;
  /** Where in the compressed block the last `decompress` failed. */
  faultOffset(): number;
  adler32(address: number, length: number): number;
}

let loaded: Lzo1x | undefined;

export function lzo1x(): Lzo1x {
  loaded ??= load(readModule(programFile('lzo1x.wasm')));
  return loaded;
}

/** More than the module has, which is as small as it is. */
const MOST_MODULE_BYTES = 16 * 1024;

/** By calls that a segment is read with anyway: the first `readFileSync` of a process costs 0.3 ms more. */
function readModule(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const code = new Uint8Array(MOST_MODULE_BYTES);
    return code.subarray(0, readSync(file, code));
  } finally {
    closeSync(file);
  }
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly PLAIN: WebAssembly.Global;
  readonly PACKED: WebAssembly.Global;
  readonly PACKED_BYTES: WebAssembly.Global;
  readonly SPARE: WebAssembly.Global;
  readonly SLABS: WebAssembly.Global;
  readonly SLAB_BYTES: WebAssembly.Global;
  readonly faultOffset: WebAssembly.Global;
  compress(length: number, to: number): number;
  decompress(packedLength: number, plainLength: number): number;
  adler32(address: number, length: number): number;
}

/** V8 sets 10 GB of addresses aside for a module's memory, of which it uses next to nothing. */
function instantiate(code: Uint8Array): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(code));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError('not enough address space for WebAssembly, in which segments are compressed', {
      detail: error.message,
      hint: 'Lift the limit on virtual memory (ulimit -v, LimitAS of systemd); resident memory is not meant.',
      cause: error,
    });
  }
}

function load(code: Uint8Array): Lzo1x {
  if (!('WebAssembly' in globalThis)) {
    throw new UserError('this Node runs without WebAssembly, in which segments are compressed', {
      hint: 'Take --jitless, or whatever else switches it off, out of NODE_OPTIONS.',
    });
  }
  const instance = instantiate(code);
  // Built from our own sources together with this file: the one place where the module's shape is taken as given.
  const made = instance.exports as Exports;
  return {
    memory: new Uint8Array(made.memory.buffer),
    view: new DataView(made.memory.buffer),
    sharedMemory: made.memory,
    spare: made.SPARE.value,
    plain: made.PLAIN.value,
    packed: made.PACKED.value,
    packedBytes: made.PACKED_BYTES.value,
    slabs: [made.SLABS.value, made.SLABS.value + made.SLAB_BYTES.value],
    slabBytes: made.SLAB_BYTES.value,
    compress: made.compress,
    decompress: made.decompress,
    faultOffset: () => made.faultOffset.value,
    adler32: (address, length) => made.adler32(address, length) >>> 0,
  };
}
