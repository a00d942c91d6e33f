/**
 * Which WAL segments an archive holds, as ranges, so that millions of them fit in little memory. While the listing
 * passes, ranges are kept as the names spell them (log, number in the log), since the segment size may not be known
 * yet; with the size they become ranges of segment indexes: byte position divided by segment size.
 */
import { DataError } from '../errors.ts';
import { hex8, LOG_BYTES, segmentTimeline } from '../postgres/segment.ts';

/** Inclusive segment indexes. */
export interface IndexRange {
  readonly first: number;
  readonly last: number;
}

interface LogRange {
  readonly log: number;
  readonly first: number;
  last: number;
}

/** Index of the segment that a name's first 24 characters spell; NaN-free for valid names only. */
export function segmentIndex(name: string, segmentBytes: number): number {
  const log = Number.parseInt(name.slice(8, 16), 16);
  return log * (LOG_BYTES / segmentBytes) + Number.parseInt(name.slice(16, 24), 16);
}

export function indexOfLsn(lsn: bigint, segmentBytes: number): number {
  return Number(lsn / BigInt(segmentBytes));
}

/** Collects names of segments in ascending order (the order of a listing). */
export class WalInventory {
  readonly #timelines = new Map<number, LogRange[]>();
  #largestInLog = 0;
  #count = 0;

  /** `name`: 24 hex digits. */
  add(name: string): void {
    const timeline = segmentTimeline(name);
    const log = Number.parseInt(name.slice(8, 16), 16);
    const inLog = Number.parseInt(name.slice(16, 24), 16);
    const ranges = this.#timelines.get(timeline) ?? [];
    if (ranges.length === 0) this.#timelines.set(timeline, ranges);
    const last = ranges.at(-1);
    if (last !== undefined && (log < last.log || (log === last.log && inLog <= last.last)))
      throw new DataError('the store lists keys out of order', { detail: `${name} came too late.` });
    if (last?.log === log && last.last + 1 === inLog) last.last = inLog;
    else ranges.push({ log, first: inLog, last: inLog });
    this.#largestInLog = Math.max(this.#largestInLog, inLog);
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  get timelines(): readonly number[] {
    return [...this.#timelines.keys()].sort((a, b) => a - b);
  }

  /** The last segment of each timeline, newest timeline first: names. */
  get newest(): readonly string[] {
    return this.timelines.toReversed().flatMap((timeline) => {
      const range = this.#timelines.get(timeline)?.at(-1);
      return range === undefined ? [] : [[timeline, range.log, range.last].map(hex8).join('')];
    });
  }

  /** Largest number in a log that a name spells; the segment size cannot be larger than 4 GiB / (this + 1). */
  get largestInLog(): number {
    return this.#largestInLog;
  }

  /** Whether some log ends with number `last` and its timeline goes on with number 0 of the next log. */
  rollsOverAfter(last: number): boolean {
    return [...this.#timelines.values()].some((ranges) =>
      ranges.some((range, i) => {
        const next = ranges[i + 1];
        return range.last === last && next?.log === range.log + 1 && next.first === 0;
      }),
    );
  }

  /** Names that no segment of this size can have are left out. */
  sized(segmentBytes: number): WalCoverage {
    const perLog = LOG_BYTES / segmentBytes;
    const coverage = new Map<number, IndexRange[]>();
    for (const [timeline, ranges] of this.#timelines) {
      const merged: { first: number; last: number }[] = [];
      for (const range of ranges) {
        if (range.first >= perLog) continue;
        const first = range.log * perLog + range.first;
        const last = range.log * perLog + Math.min(range.last, perLog - 1);
        const previous = merged.at(-1);
        if (previous !== undefined && previous.last + 1 === first) previous.last = last;
        else merged.push({ first, last });
      }
      coverage.set(timeline, merged);
    }
    return new WalCoverage(coverage, segmentBytes);
  }
}

/** The archived segments of each timeline as ascending ranges of indexes. */
export class WalCoverage {
  readonly segmentBytes: number;
  readonly #ranges: ReadonlyMap<number, readonly IndexRange[]>;

  constructor(ranges: ReadonlyMap<number, readonly IndexRange[]>, segmentBytes: number) {
    this.#ranges = ranges;
    this.segmentBytes = segmentBytes;
  }

  get timelines(): readonly number[] {
    return [...this.#ranges.keys()].sort((a, b) => a - b);
  }

  ranges(timeline: number): readonly IndexRange[] {
    return this.#ranges.get(timeline) ?? [];
  }

  has(timeline: number, index: number): boolean {
    return this.ranges(timeline).some((range) => range.first <= index && index <= range.last);
  }

  /** The last archived segment of a timeline. */
  last(timeline: number): number | undefined {
    return this.ranges(timeline).at(-1)?.last;
  }

  /** What of `first` to `last` is archived on this timeline. */
  within(timeline: number, first: number, last: number): IndexRange[] {
    return this.ranges(timeline)
      .filter((range) => range.first <= last && range.last >= first)
      .map((range) => ({ first: Math.max(range.first, first), last: Math.min(range.last, last) }));
  }

  /** What of `first` to `last` is not archived on this timeline. */
  missing(timeline: number, first: number, last: number): IndexRange[] {
    const gaps: IndexRange[] = [];
    let next = first;
    for (const range of this.ranges(timeline)) {
      if (range.last < next) continue;
      if (range.first > last) break;
      if (range.first > next) gaps.push({ first: next, last: range.first - 1 });
      next = range.last + 1;
    }
    if (next <= last) gaps.push({ first: next, last });
    return gaps;
  }
}
