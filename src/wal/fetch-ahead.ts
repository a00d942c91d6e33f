/** Decides whether a process must be started that fetches the segments which PostgreSQL will ask for next. */
import type { Spool } from '../archive/prefetch.ts';
import type { GlobalOptions } from '../settings/settings.ts';

export interface Ahead {
  readonly walDirectory: string;
  /** The segments that follow the one that was fetched. */
  readonly wanted: readonly string[];
  readonly segmentBytes: number;
  readonly globals: GlobalOptions;
}

/** Starts a child for the `wanted` segments where that pays. */
export async function fetchAhead(spool: Spool, { wanted, ...ahead }: Ahead): Promise<void> {
  const missing = wanted.filter((name) => !spool.has(name) && spool.progress(name) === undefined);
  const [first] = missing;
  // One child fetches many segments, so it is only started again when half of them are used up.
  const isLow = missing.length > wanted.length / 2;
  if (first === undefined || !isLow || spool.isEnd(first) || spool.hasLiveChild()) return;
  const { startPrefetch } = await import('./prefetch-process.ts');
  startPrefetch({ ...ahead, first, count: wanted.length });
}
