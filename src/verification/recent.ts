/** When the last segments of each timeline were archived, to tell a gap from an archiver at work. */
import { segmentTimeline } from '../postgres/segment.ts';

/** wal-push archives up to this many segments at once, in any order. */
const SEGMENTS = 32;

interface Archived {
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

  /** The timeline to which WAL was archived last; undefined when there is none. */
  get currentTimeline(): number | undefined {
    const newest = [...this.#timelines].flatMap(([timeline, segments]) =>
      segments.map(({ at }) => ({ timeline, at: at.getTime() })),
    );
    return newest.sort((a, b) => a.at - b.at || a.timeline - b.timeline).at(-1)?.timeline;
  }
}
