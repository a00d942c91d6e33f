/**
 * How far a base backup or a restore is. On a terminal one line that is written again and again: bytes done of total,
 * rate, time left, parts. Otherwise a log line for each part, and at least one a minute.
 */
import type { Log, LogParts } from './log.ts';

/** Where a line goes that is written again and again, when it is a terminal: standard error. */
export interface Terminal {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  readonly log: Log;
  /** `restored`, `pushed`: what is said of the bytes. */
  readonly verb: string;
  /** Bytes; 0 when not known. */
  readonly totalBytes: number;
  /** undefined when not known. */
  readonly totalParts: number | undefined;
  readonly terminal: Terminal;
  /** Milliseconds, of any clock that never goes back. */
  readonly now: () => number;
}

export const CLEAR_LINE = '\r\u001b[K';
export const LINE_EVERY_MS = 200;
export const LOG_EVERY_MS = 60_000;

export class Progress {
  readonly #options: ProgressOptions;
  readonly #started: number;
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;
  #parts = 0;
  #said: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#started = options.now();
    this.#said = this.#started;
    const every = this.#isTerminal ? LINE_EVERY_MS : 1000;
    this.#timer = setInterval(() => this.#tick(), every).unref();
  }

  /** Negative when an attempt is taken back. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** `detail` names the part, for the log. */
  partDone(detail: string): void {
    this.#parts += 1;
    if (!this.#isTerminal) this.#log(detail);
  }

  /** A log line that does not get mixed up with the line on a terminal. */
  note(message: string, parts: LogParts): void {
    if (this.#isTerminal) this.#options.terminal.write(CLEAR_LINE);
    this.#options.log.info(message, parts);
  }

  /** Bytes a second since the start. */
  get rate(): number {
    return this.#bytes / Math.max(0.001, this.seconds);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get seconds(): number {
    return (this.#options.now() - this.#started) / 1000;
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#isTerminal) this.#options.terminal.write(CLEAR_LINE);
  }

  get #isTerminal(): boolean {
    return this.#options.terminal.isTTY === true;
  }

  #tick(): void {
    if (this.#isTerminal) this.#options.terminal.write(CLEAR_LINE + this.text());
    else if (this.#options.now() - this.#said >= LOG_EVERY_MS) this.#log(undefined);
  }

  #log(detail: string | undefined): void {
    this.#said = this.#options.now();
    this.#options.log.info(this.text(), { detail });
  }

  /** `restored 1.2 GB of 3.4 GB (35%), 250.0 MB/s, 9 s left, 2 of 5 parts` */
  text(): string {
    const { verb, totalBytes, totalParts } = this.#options;
    const ofTotal = totalBytes > 0 ? ` of ${formatBytes(totalBytes)} (${this.#percent(totalBytes)}%)` : '';
    const left = Math.max(0, totalBytes - this.#bytes) / Math.max(1, this.rate);
    const time = totalBytes > 0 && this.#bytes > 0 ? `, ${formatDuration(left)} left` : '';
    const parts = totalParts === undefined ? `${this.#parts} parts` : `${this.#parts} of ${totalParts} parts`;
    return `${verb} ${formatBytes(this.#bytes)}${ofTotal}, ${formatBytes(this.rate)}/s${time}, ${parts}`;
  }

  #percent(total: number): number {
    return Math.min(100, Math.floor((100 * this.#bytes) / total));
  }
}

/** `512 B`, `1.5 kB`, `16.8 MB`: decimal units. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const sign = bytes < 0 ? '-' : '';
  return `${sign}${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `42 s`, `3 min 20 s`, `5 h 3 min`, `2 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}
