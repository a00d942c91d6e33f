/** Decides whether a process must be started that fetches the segments which PostgreSQL will ask for next. */
import type { Spool } from '../archive/prefetch.ts';
import type { GlobalOptions } from '../settings/settings.ts';

/** Starts a child for the `wanted` segments where that pays. */
export async function fetchAhead(
  spool: Spool,
  walDirectory: string,
  wanted: readonly string[],
  globals: GlobalOptions,
): Promise<void> {
  const missing = wanted.filter((name) => !spool.has(name) && spool.progress(name) === undefined);
  const [first] = missing;
  // One child fetches many segments, so it is only started again when half of them are used up.
  const isLow = missing.length > wanted.length / 2;
  if (first === undefined || !isLow || spool.isEnd(first) || spool.hasLiveChild()) return;
  const { startPrefetch } = await import('./prefetch-process.ts');
  startPrefetch({ walDirectory, first, count: wanted.length, globals });
}
