/**
 * How far a deletion is. On a terminal one line that is written again and again; otherwise a log line a minute. Drawn as
 * batches are done, without a timer: a batch takes about as long as a line is worth reading.
 */
import type { Log } from '../log.ts';
import { CLEAR_LINE, formatDuration, LINE_EVERY_MS, LOG_EVERY_MS, type Terminal } from '../progress.ts';

export interface DeletionProgressOptions {
  readonly log: Log;
  readonly terminal: Terminal;
  /** Milliseconds, of any clock that never goes back. */
  readonly now: () => number;
}

export class DeletionProgress {
  readonly #options: DeletionProgressOptions;
  readonly #isTerminal: boolean;
  readonly #started: number;
  #shown: number;
  #isDrawn = false;
  #done = 0;
  #expected = 0;

  constructor(options: DeletionProgressOptions) {
    this.#options = options;
    this.#isTerminal = options.terminal.isTTY === true;
    this.#started = options.now();
    // On a terminal the first batch is shown at once.
    this.#shown = this.#isTerminal ? this.#started - LINE_EVERY_MS : this.#started;
  }

  /** How many objects there will be in all, where that is known beforehand. */
  expect(objects: number): void {
    this.#expected = objects;
  }

  add(objects: number): void {
    this.#done += objects;
    const now = this.#options.now();
    if (now - this.#shown < (this.#isTerminal ? LINE_EVERY_MS : LOG_EVERY_MS)) return;
    this.#shown = now;
    if (this.#isTerminal) {
      this.#options.terminal.write(CLEAR_LINE + this.text());
      this.#isDrawn = true;
    } else {
      this.#options.log.info('deletion under way', { detail: `${this.text()}.` });
    }
  }

  /** Before anything else is written to the terminal, and in the end. */
  clear(): void {
    if (!this.#isDrawn) return;
    this.#options.terminal.write(CLEAR_LINE);
    this.#isDrawn = false;
  }

  /** `1000 of 4000 objects deleted (25%), 500/s, 6 s left`; `1000 objects deleted, 500/s` where nobody counted before. */
  text(): string {
    const seconds = Math.max(0.001, (this.#options.now() - this.#started) / 1000);
    const rate = this.#done / seconds;
    const speed = `${Math.round(rate)}/s`;
    // What appears while it goes on may make them more than were counted.
    if (this.#expected === 0 || this.#expected < this.#done) return `${this.#done} objects deleted, ${speed}`;
    const percent = Math.floor((100 * this.#done) / this.#expected);
    const left = (this.#expected - this.#done) / Math.max(rate, 0.001);
    return `${this.#done} of ${this.#expected} objects deleted (${percent}%), ${speed}, ${formatDuration(left)} left`;
  }
}
