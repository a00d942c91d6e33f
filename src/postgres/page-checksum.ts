/**
 * Checks data pages against the checksum in them, on the calling thread, many at a call (`assembly/page-checksum.ts`).
 * A reader fills `buffer` with pages of one relation file and asks for the first unsound one.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { programFile } from '../program.ts';

/** The pages in the buffer. */
export interface PageRun {
  readonly count: number;
  readonly pageBytes: number;
  /** Number of the first page in its relation (not in its file): it is part of the checksum. */
  readonly firstBlock: number;
}

export interface PageCheck {
  /** Room for whole pages of every size that PostgreSQL knows: 256 KiB. */
  readonly buffer: Uint8Array;
  /** Index of the first page, from page `from` on, that PostgreSQL would refuse; `run.count` if all are sound. */
  firstUnsound(from: number, run: PageRun): number;
}

/** WebAssembly is little-endian everywhere; on a big-endian machine PostgreSQL's pages are not. */
export const CAN_CHECK_PAGES = endianness() === 'LE';

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly BUFFER: WebAssembly.Global;
  readonly BUFFER_BYTES: WebAssembly.Global;
  firstUnsound(from: number, count: number, pageBytes: number, firstBlock: number): number;
}

let loaded: PageCheck | undefined;

/** One for each thread: whoever fills the buffer uses it up before anybody else gets to run. */
export function pageCheck(): PageCheck {
  loaded ??= load(readFileSync(programFile('page-checksum.wasm')));
  return loaded;
}

function load(code: Uint8Array): PageCheck {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code));
  // Built from our own sources together with this file: the module's shape is taken as given.
  const made = instance.exports as Exports;
  return {
    buffer: new Uint8Array(made.memory.buffer, made.BUFFER.value, made.BUFFER_BYTES.value),
    firstUnsound: (from, { count, pageBytes, firstBlock }) =>
      made.firstUnsound(from, count, pageBytes, firstBlock) >>> 0,
  };
}

/** LSN in a page's header: of the last change to it. The high half comes first, whatever the byte order. */
export function pageLsn(page: Uint8Array): bigint {
  const view = new DataView(page.buffer, page.byteOffset, 8);
  return (BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true));
}
