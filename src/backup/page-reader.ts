/**
 * Reads relation files whole pages at a time and checks them on the way. A page that PostgreSQL is just writing can be
 * read half old, half new, so an unsound page is read again a few times before it counts; a sound second reading takes
 * the first one's place.
 */
import { readSync } from 'node:fs';
import { type PageCheck, type PageRun, pageCheck, pageLsn } from '../postgres/page-checksum.ts';
import { firstBlock } from '../postgres/relation-file.ts';
import type { PageRules, UnsoundPage } from './part-protocol.ts';
import { pause } from './rate-limit.ts';

const READINGS = 5;
const PAUSE_MS = 20;
/** With so many unsound pages it is no matter of unlucky moments: further ones are read again just once, at once. */
const MANY = 20;

/** Reads at a place of the file, at most so many bytes; a view of shared memory, valid until the next call. Empty at the end. */
export type PieceReader = (at: number, most: number) => Uint8Array;

export class PageReader {
  readonly #rules: PageRules;
  readonly #unsound: (page: UnsoundPage) => void;
  readonly #check: PageCheck;
  readonly #wait: (milliseconds: number) => void;
  #found = 0;

  constructor(rules: PageRules, unsound: (page: UnsoundPage) => void, wait = pause) {
    this.#rules = rules;
    this.#unsound = unsound;
    this.#wait = wait;
    this.#check = pageCheck();
  }

  /** undefined when the file has no pages to check. `name`: relative to the data directory. */
  open(descriptor: number, name: string): PieceReader | undefined {
    const first = firstBlock(name, this.#rules.segmentBlocks);
    if (first === undefined) return undefined;
    return (at, most) => {
      const bytes = this.#fill(descriptor, at, Math.min(most, this.#check.buffer.length));
      const { pageBytes } = this.#rules;
      // A file that is being extended can end within a page; that page is not checked, WAL writes it anew.
      const count = Math.floor(bytes / pageBytes);
      this.#checkPages(descriptor, at, { count, pageBytes, firstBlock: first + at / pageBytes }, name);
      return this.#check.buffer.subarray(0, bytes);
    };
  }

  #fill(descriptor: number, at: number, length: number): number {
    const { buffer } = this.#check;
    let filled = 0;
    while (filled < length) {
      const bytes = readSync(descriptor, buffer, filled, length - filled, at + filled);
      if (bytes === 0) break;
      filled += bytes;
    }
    return filled;
  }

  #checkPages(descriptor: number, at: number, run: PageRun, name: string): void {
    let index = this.#check.firstUnsound(0, run);
    while (index < run.count) {
      if (!this.#soundWhenReadAgain(descriptor, at, index, run)) {
        const start = index * run.pageBytes;
        const lsn = pageLsn(this.#check.buffer.subarray(start, start + run.pageBytes));
        this.#found += 1;
        this.#unsound({ file: name, block: run.firstBlock + index, lsn });
      }
      index = this.#check.firstUnsound(index + 1, run);
    }
  }

  #soundWhenReadAgain(descriptor: number, at: number, index: number, run: PageRun): boolean {
    const { buffer } = this.#check;
    const { pageBytes } = run;
    const readings = this.#found < MANY ? READINGS : 1;
    for (let reading = 1; reading <= readings; reading += 1) {
      if (reading > 1) this.#wait(PAUSE_MS);
      const start = index * pageBytes;
      const bytes = readSync(descriptor, buffer, start, pageBytes, at + start);
      // The file was cut off before this page: nobody will read the page again.
      if (bytes < pageBytes) return true;
      if (this.#check.firstUnsound(index, { ...run, count: index + 1 }) > index) return true;
    }
    return false;
  }
}
