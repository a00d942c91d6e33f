/**
 * Timelines: what `.history` files say. A line is `parent TLI <tab> switch LSN <tab> reason`; the last line names the
 * direct parent (PostgreSQL: readTimeLineHistory in timeline.c, from which the rules about comments and order come).
 */
import { DataError } from '../errors.ts';
import { hex8, parseLsn, segmentTimeline, walFileKind } from '../postgres/segment.ts';

/** One timeline on the way to another: it was followed up to, not including, byte `end`. */
export interface Ancestor {
  readonly timeline: number;
  readonly end: bigint;
}

export interface TimelineHistory {
  readonly timeline: number;
  /** Oldest first; empty for a timeline that has no history file. */
  readonly ancestors: readonly Ancestor[];
}

const LINE = /^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s|$)/;

/** The timeline of `00000002.history`; undefined for any other name. */
export function historyTimeline(name: string): number | undefined {
  return walFileKind(name) === 'history' ? segmentTimeline(name) : undefined;
}

export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** `text`: of a file that is no longer than it may be. Throws DataError naming the line. */
export function parseHistory(timeline: number, text: string): TimelineHistory {
  const where = historyName(timeline);
  const ancestors: Ancestor[] = [];
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const match = LINE.exec(line);
    const isCut = index === lines.length - 1 && match?.[0].length === line.length;
    const end = match === null ? undefined : parseLsn(match[2] ?? '');
    const parent = Number(match?.[1]);
    const previous = ancestors.at(-1);
    if (end === undefined || isCut || parent < 1 || parent >= timeline)
      throw new DataError(`${where} is damaged`, {
        detail: `Line ${index + 1} is not a timeline and an LSN.`,
      });
    if (previous !== undefined && (parent <= previous.timeline || end < previous.end))
      throw new DataError(`${where} is damaged`, { detail: `Line ${index + 1} goes back in the history.` });
    ancestors.push({ timeline: parent, end });
  }
  return { timeline, ancestors };
}

/** All timelines of an archive: those with a history file, and those that are only seen in names. */
export class TimelineTree {
  readonly #histories: Map<number, TimelineHistory>;

  constructor(histories: Iterable<TimelineHistory>) {
    this.#histories = new Map([...histories].map((history) => [history.timeline, history]));
  }

  add(history: TimelineHistory): void {
    this.#histories.set(history.timeline, history);
  }

  /** undefined: its history file is not known (always so for timeline 1, which has none). */
  history(timeline: number): TimelineHistory | undefined {
    return this.#histories.get(timeline);
  }

  /** Timelines with a history, ascending. */
  get timelines(): readonly number[] {
    return [...this.#histories.keys()].sort((a, b) => a - b);
  }

  /**
   * Where `descendant` left `timeline`: the LSN, or undefined when it does not come from it. A timeline has not
   * left itself: `'itself'`.
   */
  left(timeline: number, descendant: number): bigint | 'itself' | undefined {
    if (timeline === descendant) return 'itself';
    return this.history(descendant)?.ancestors.find((ancestor) => ancestor.timeline === timeline)?.end;
  }

  /** Timelines whose history passes `lsn` on `timeline`, itself first, then ascending. */
  reachableFrom(timeline: number, lsn: bigint): readonly number[] {
    const descendants = this.timelines.filter((candidate) => {
      const end = this.left(timeline, candidate);
      return typeof end === 'bigint' && end >= lsn;
    });
    return [timeline, ...descendants];
  }
}
