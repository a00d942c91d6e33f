/**
 * Checks data pages against the checksum in them, on the calling thread, many at a call (`assembly/page-checksum.ts`),
 * in the memory where somebody else read them to.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { programFile } from '../program.ts';

/** Pages that follow one another. */
export interface PageRun {
  /** Of the first page, in the memory. */
  readonly address: number;
  readonly count: number;
  readonly pageBytes: number;
  /** Number of the first page in its relation (not in its file): it is part of the checksum. */
  readonly firstBlock: number;
}

/** Index of the first page, from page `from` on, that PostgreSQL would refuse; `run.count` if all are sound. */
export type FirstUnsound = (run: PageRun, from: number) => number;

/** WebAssembly is little-endian everywhere; on a big-endian machine PostgreSQL's pages are not. */
export const CAN_CHECK_PAGES = endianness() === 'LE';

interface Exports {
  firstUnsound(address: number, from: number, count: number, pageBytes: number, firstBlock: number): number;
}

/** `memory`: as large as the build makes it for all modules (scripts/build.mjs). */
export function pageCheck(memory: WebAssembly.Memory): FirstUnsound {
  const module = new WebAssembly.Module(readFileSync(programFile('page-checksum.wasm')));
  // Built from our own sources together with this file: the module's shape is taken as given.
  const made = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
  return ({ address, count, pageBytes, firstBlock }, from) =>
    made.firstUnsound(address, from, count, pageBytes, firstBlock) >>> 0;
}

/** LSN in a page's header: of the last change to it. The high half comes first, whatever the byte order. */
export function pageLsn(page: Uint8Array): bigint {
  const view = new DataView(page.buffer, page.byteOffset, 8);
  return (BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true));
}
