/**
 * Reads relation files into the part that is being written and checks their pages there, before they are compressed. A
 * page that PostgreSQL is just writing can be read half old, half new, so an unsound page is read again a few times
 * before it counts; a sound second reading takes the first one's place.
 */
import { readSync } from 'node:fs';
import { lzo1x } from '../codec/lzo1x.ts';
import { type FirstUnsound, type PageRun, pageCheck, pageLsn } from '../postgres/page-checksum.ts';
import type { PageRules, UnsoundPage } from './part-protocol.ts';
import { pause } from './rate-limit.ts';

const READINGS = 5;
const PAUSE_MS = 20;
/**
 * With so many unsound pages in a part it is no matter of unlucky moments: further ones are read again just once, at
 * once. That is enough for a page that PostgreSQL was writing: who read its old first half and its new second half reads
 * the new page then. A page whose writer was halted in between has its new LSN already, by which damage.ts knows it.
 */
const MANY = 20;

export interface PageReaderOptions {
  readonly rules: PageRules;
  readonly unsound: (page: UnsoundPage) => void;
  readonly wait?: ((milliseconds: number) => void) | undefined;
}

export interface CheckedFile {
  readonly descriptor: number;
  /** Member name. */
  readonly name: string;
  /** Number of its first block in its relation. */
  readonly firstBlock: number;
}

let check: FirstUnsound | undefined;

export class PageReader {
  readonly #options: PageReaderOptions;
  readonly #check: FirstUnsound;
  readonly #memory: Uint8Array;
  /** A page that two blocks of the part share is put together here, to be checked as one. */
  readonly #joined: Uint8Array;
  #found = 0;

  constructor(options: PageReaderOptions) {
    this.#options = options;
    const { memory, sharedMemory, spare } = lzo1x();
    check ??= pageCheck(sharedMemory);
    this.#check = check;
    this.#memory = memory;
    this.#joined = memory.subarray(spare, spare + options.rules.pageBytes);
  }

  /** Reads at most `room` from `at` on into `room`, which lies in the codec's memory. Fewer bytes only at the file's end. */
  read(file: CheckedFile, at: number, room: Uint8Array): number {
    const bytes = fill(file.descriptor, room, at);
    const { pageBytes } = this.#options.rules;
    const begun = at % pageBytes;
    const rest = begun === 0 ? 0 : Math.min(pageBytes - begun, bytes);
    if (rest > 0) {
      this.#joined.set(room.subarray(0, rest), begun);
      if (begun + rest === pageBytes) this.#checkPages(file, at - begun, this.#joined);
    }
    // A file that is being extended can end within a page; that page is not checked, WAL writes it anew.
    const whole = bytes - rest - ((bytes - rest) % pageBytes);
    this.#checkPages(file, at + rest, room.subarray(rest, rest + whole));
    this.#joined.set(room.subarray(rest + whole, bytes));
    return bytes;
  }

  /** `pages` were read at `at` of the file. */
  #checkPages(file: CheckedFile, at: number, pages: Uint8Array): void {
    const { pageBytes } = this.#options.rules;
    const run: PageRun = {
      address: pages.byteOffset,
      count: pages.length / pageBytes,
      pageBytes,
      firstBlock: file.firstBlock + at / pageBytes,
    };
    let index = this.#check(run, 0);
    while (index < run.count) {
      if (!this.#soundWhenReadAgain(file, at, run, index)) {
        const start = run.address + index * pageBytes;
        const lsn = pageLsn(this.#memory.subarray(start, start + pageBytes));
        this.#found += 1;
        this.#options.unsound({ file: file.name, block: run.firstBlock + index, lsn });
      }
      index = this.#check(run, index + 1);
    }
  }

  /** A page that two blocks share keeps its first reading in the part: it was changed just now, so WAL writes it anew. */
  #soundWhenReadAgain(file: CheckedFile, at: number, run: PageRun, index: number): boolean {
    const { pageBytes } = run;
    const wait = this.#options.wait ?? pause;
    const readings = this.#found < MANY ? READINGS : 1;
    for (let reading = 1; reading <= readings; reading += 1) {
      if (reading > 1) wait(PAUSE_MS);
      const start = run.address + index * pageBytes;
      const page = this.#memory.subarray(start, start + pageBytes);
      // The file was cut off before this page: nobody will read the page again.
      if (fill(file.descriptor, page, at + index * pageBytes) < pageBytes) return true;
      if (this.#check({ ...run, count: index + 1 }, index) > index) return true;
    }
    return false;
  }
}

/** Fewer bytes than `room` has only at the end of the file. */
function fill(descriptor: number, room: Uint8Array, at: number): number {
  let filled = 0;
  while (filled < room.length) {
    const bytes = readSync(descriptor, room, filled, room.length - filled, at + filled);
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}
