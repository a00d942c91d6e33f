/**
 * The work of the process that fetches ahead: the segments that follow the one PostgreSQL asked for last, several at a
 * time, until the spool is full, the archive has no more, or something fails. Nobody waits for it and nobody reads
 * what it says, so it gives up at the first trouble: wal-fetch then meets the same trouble and reports it.
 */
import type { Spool } from '../archive/prefetch.ts';
import { UserError } from '../errors.ts';
import { followingSegments } from '../postgres/segment.ts';
import { download, type Source } from './download.ts';
import { hasRoom } from './room.ts';

const LANES = 4;
const TOUCH_MS = 1000;
/** So many segments must find room beside what is fetched ahead: PostgreSQL writes to the same disk. */
const SPARE_SEGMENTS = 8;

export interface PrefetchOrder {
  readonly first: string;
  /** How many segments the spool shall hold; 1: the first, whatever is asked for meanwhile. */
  readonly count: number;
  /** Tells the names of those that follow. */
  readonly segmentBytes: number;
}

/** Resolves with whether the archive had the first segment; rejects with the failure that ended the work. */
export async function prefetch(spool: Spool, order: PrefetchOrder, source: Source): Promise<boolean> {
  const run = new Prefetching(spool, order, source);
  // One alone: at the end of an archive the others would only be asked for in vain.
  await run.fetchNext();
  if (run.end === order.first) return false;
  await run.fill();
  // A wal-fetch that came while the last lane ended has relied on this process.
  for (spool.childEnds(); run.hasMore() && spool.becomeChild(); spool.childEnds()) await run.fill();
  return true;
}

class Prefetching {
  readonly #spool: Spool;
  readonly #order: PrefetchOrder;
  readonly #source: Source;
  readonly #stop = new AbortController();
  readonly #tried = new Set<string>();
  #position: string | undefined;
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

  /** The first segment that the archive was found not to have. */
  get end(): string | undefined {
    return this.#end;
  }

  /** Keeps the spool full while PostgreSQL uses it up. */
  async fill(): Promise<void> {
    const lanes = Array.from({ length: Math.min(LANES, this.#order.count - 1) }, async () => {
      while (await this.fetchNext());
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

  hasMore(): boolean {
    return this.#order.count > 1 && this.#next() !== undefined;
  }

  /** False: there is nothing left to fetch. */
  async fetchNext(): Promise<boolean> {
    const name = this.#next();
    if (name === undefined) return false;
    this.#tried.add(name);
    if (!hasRoom(this.#spool.folder, SPARE_SEGMENTS * this.#order.segmentBytes))
      throw new UserError('no room to fetch ahead');
    const path = this.#spool.claim(name);
    if (path !== undefined) await this.#fetch(name, path);
    return true;
  }

  async #fetch(name: string, path: string): Promise<void> {
    try {
      const size = await download(name, path, this.#source);
      if (size === undefined) this.#endsBefore(name);
      // wal-fetch has not removed what comes now, if recovery went elsewhere meanwhile.
      else if (this.#wanted().includes(name)) this.#spool.publish(name, path);
    } catch (error) {
      // A wal-fetch that has no use for this segment has taken the claim away, and relies on this process for others.
      if (this.#spool.isClaimed(name) || !this.#spool.touchChild()) throw error;
    } finally {
      this.#spool.release(name);
    }
  }

  #next(): string | undefined {
    if (this.#source.signal.aborted) return undefined;
    return this.#wanted().find(
      (name) =>
        !this.#tried.has(name) && !this.#spool.has(name) && (this.#end === undefined || name < this.#end),
    );
  }

  #wanted(): string[] {
    const { first, count, segmentBytes } = this.#order;
    if (count === 1) return [first];
    this.#position = this.#spool.position() ?? this.#position;
    return this.#position === undefined
      ? [first, ...followingSegments(first, count - 1, segmentBytes)]
      : followingSegments(this.#position, count, segmentBytes);
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
