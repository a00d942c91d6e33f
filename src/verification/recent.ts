/** When the last segments of each timeline were archived, to tell a gap from an archiver at work. */
import { segmentTimeline } from '../postgres/segment.ts';

/** wal-push archives this many segments at once unless told otherwise, in any order. */
const SEGMENTS = 32;

/** One segment. */
export interface Archived {
  readonly name: string;
  readonly at: Date;
}

export class RecentSegments {
  readonly #timelines = new Map<number, Archived[]>();

  /** In ascending order of names. */
  add(name: string, at: Date): void {
    const timeline = segmentTimeline(name);
    const segments = this.#timelines.get(timeline) ?? [];
    if (segments.length === 0) this.#timelines.set(timeline, segments);
    segments.push({ name, at });
    if (segments.length > SEGMENTS) segments.shift();
  }

  /** undefined when the segment is not among the last of its timeline. */
  archived(name: string): Date | undefined {
    return this.#timelines.get(segmentTimeline(name))?.find((segment) => segment.name === name)?.at;
  }

  /** What was archived last of all; undefined when there is no WAL. */
  get last(): Archived | undefined {
    const all = [...this.#timelines.values()].flat();
    return all.sort((a, b) => a.at.getTime() - b.at.getTime() || (a.name < b.name ? -1 : 1)).at(-1);
  }
}
