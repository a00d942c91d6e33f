/**
 * Which unsound pages mean that the cluster is damaged, in bounded memory however many there are.
 *
 * A page that was changed after the start of the backup is written anew from WAL when the backup is restored, so
 * whatever was read of it does no harm: its LSN lies between start and stop. One with an older LSN is damaged; so is one
 * with an LSN that the WAL had not reached at the stop, which only the stop tells. Of pages that wait for it, those of
 * the highest LSNs are kept: if any of them all is damaged, one of these is. Only the number of pages beyond the stop is
 * no longer exact when there are more of them than are kept.
 */

import type { DamagedPage } from '../archive/sentinel.ts';
import { textOf } from '../byte-string.ts';
import type { FoundPages, UnsoundPage } from './part-protocol.ts';

export const MAX_LISTED_PAGES = 1000;

export interface Damage {
  /** At most `MAX_LISTED_PAGES`. */
  readonly pages: readonly DamagedPage[];
  readonly count: number;
}

export class UnsoundPages {
  readonly #start: bigint | undefined;
  readonly #certain: UnsoundPage[] = [];
  #certainCount = 0;
  #open: UnsoundPage[] = [];

  /** Without a `start` every unsound page is damaged: nobody was writing. */
  constructor(start: bigint | undefined) {
    this.#start = start;
  }

  add(page: UnsoundPage): void {
    if (this.#start === undefined || page.lsn < this.#start) {
      this.#certainCount += 1;
      if (this.#certain.length < MAX_LISTED_PAGES) this.#certain.push(page);
      return;
    }
    this.#open.push(page);
    if (this.#open.length >= 2 * MAX_LISTED_PAGES) this.#keepHighest();
  }

  /** What another thread found, of the same backup. */
  merge({ certain, certainCount, open }: FoundPages): void {
    this.#certain.push(...certain.slice(0, MAX_LISTED_PAGES - this.#certain.length));
    this.#certainCount += certainCount;
    this.#open.push(...open);
    this.#keepHighest();
  }

  found(): FoundPages {
    this.#keepHighest();
    return { certain: this.#certain, certainCount: this.#certainCount, open: this.#open };
  }

  /** `stop`: LSN at which the backup ended. */
  damage(stop: bigint): Damage {
    const beyond = this.#open.filter(({ lsn }) => lsn > stop);
    return {
      pages: damagedPages([...this.#certain, ...beyond].slice(0, MAX_LISTED_PAGES)),
      count: this.#certainCount + beyond.length,
    };
  }

  #keepHighest(): void {
    if (this.#open.length <= MAX_LISTED_PAGES) return;
    this.#open.sort((a, b) => (a.lsn < b.lsn ? 1 : a.lsn > b.lsn ? -1 : 0));
    this.#open = this.#open.slice(0, MAX_LISTED_PAGES);
  }
}

export function damagedPages(pages: readonly UnsoundPage[]): readonly DamagedPage[] {
  return pages.map(({ file, block }) => ({ file: textOf(file), block }));
}
