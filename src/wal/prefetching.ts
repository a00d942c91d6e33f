/**
 * The work of the process that fetches ahead: the segments that follow the one PostgreSQL asked for last, several at a
 * time, until the spool is full, the archive has no more, or something fails. Nobody waits for it and nobody reads
 * what it says, so it gives up at the first trouble: wal-fetch then meets the same trouble and reports it.
 */
import type { Spool } from '../archive/prefetch.ts';
import { UserError } from '../errors.ts';
import { DEFAULT_SEGMENT_BYTES, followingSegments } from '../postgres/segment.ts';
import { download, type Source } from './download.ts';
import { hasRoom } from './room.ts';

const LANES = 4;
const TOUCH_MS = 1000;
/** So many segments must find room beside what is fetched ahead: PostgreSQL writes to the same disk. */
const SPARE_SEGMENTS = 8;

export interface PrefetchOrder {
  readonly first: string;
  /** How many segments the spool shall hold. */
  readonly count: number;
}

/** Resolves with whether the archive had the first segment; rejects with the failure that ended the work. */
export async function prefetch(spool: Spool, order: PrefetchOrder, source: Source): Promise<boolean> {
  const run = new Prefetching(spool, order, source);
  // The size of the first one tells the names of the others.
  const segmentBytes = await run.fetch(order.first);
  if (segmentBytes === undefined) return false;
  await run.fill(segmentBytes);
  // A wal-fetch that came while the last lane ended has relied on this process.
  for (spool.childEnds(); run.hasMore(segmentBytes) && spool.becomeChild(); spool.childEnds())
    await run.fill(segmentBytes);
  return true;
}

class Prefetching {
  readonly #spool: Spool;
  readonly #order: PrefetchOrder;
  readonly #source: Source;
  readonly #stop = new AbortController();
  readonly #tried = new Set<string>();
  #end: string | undefined;
  #touched = 0;

  constructor(spool: Spool, order: PrefetchOrder, source: Source) {
    this.#spool = spool;
    this.#order = order;
    this.#source = {
      store: source.store,
      signal: AbortSignal.any([source.signal, this.#stop.signal]),
      progress: () => this.#touch(),
    };
  }

  /** Keeps the spool full while PostgreSQL uses it up. */
  async fill(segmentBytes: number): Promise<void> {
    const lanes = Array.from({ length: Math.min(LANES, this.#order.count - 1) }, async () => {
      for (let name = this.#next(segmentBytes); name; name = this.#next(segmentBytes))
        await this.fetch(name, segmentBytes);
    });
    await Promise.all(
      lanes.map((lane) =>
        lane.catch((error: unknown) => {
          this.#stop.abort(error);
        }),
      ),
    );
    this.#source.signal.throwIfAborted();
  }

  /** Size in bytes of the fetched segment; 0: somebody else is at it; undefined: the archive does not have it. */
  async fetch(name: string, usualBytes = DEFAULT_SEGMENT_BYTES): Promise<number | undefined> {
    this.#tried.add(name);
    if (!hasRoom(this.#spool.folder, SPARE_SEGMENTS * usualBytes))
      throw new UserError('no room to fetch ahead');
    const path = this.#spool.claim(name);
    if (path === undefined) return 0;
    try {
      const size = await download(name, path, this.#source);
      if (size === undefined) this.#endsBefore(name);
      else this.#spool.publish(name, path);
      return size;
    } finally {
      this.#spool.release(name);
    }
  }

  hasMore(segmentBytes: number): boolean {
    return this.#order.count > 1 && this.#next(segmentBytes) !== undefined;
  }

  #next(segmentBytes: number): string | undefined {
    const { first, count } = this.#order;
    if (segmentBytes === 0 || this.#source.signal.aborted) return undefined;
    const position = this.#spool.position();
    const wanted =
      position === undefined
        ? followingSegments(first, count - 1, segmentBytes)
        : followingSegments(position, count, segmentBytes);
    return wanted.find(
      (name) =>
        !this.#tried.has(name) && !this.#spool.has(name) && (this.#end === undefined || name < this.#end),
    );
  }

  #endsBefore(name: string): void {
    if (this.#end !== undefined && this.#end < name) return;
    this.#end = name;
    this.#spool.setEnd(name);
  }

  #touch(): void {
    if (Date.now() - this.#touched < TOUCH_MS) return;
    this.#touched = Date.now();
    if (!this.#spool.touchChild()) this.#stop.abort(new UserError('another process fetches ahead'));
  }
}
