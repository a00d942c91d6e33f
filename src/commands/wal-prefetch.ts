/** `wal-prefetch`, started by wal-fetch: fetches segments into the spool before PostgreSQL asks for them. */
import { Spool } from '../archive/prefetch.ts';
import { UsageError } from '../errors.ts';
import { DEFAULT_SEGMENT_BYTES, isSegmentSize, walFileKind } from '../postgres/segment.ts';
import { archiveAddress } from '../settings/archive-address.ts';
import { prefetch } from '../wal/prefetching.ts';
import type { Context } from './context.ts';

export interface WalPrefetchArguments {
  /** The folder that wal-fetch puts segments in: pg_wal. */
  readonly baseDirectory: string;
  readonly segment: string;
  /** Segments that the spool shall hold; 1: only this one. */
  readonly count: number;
  readonly segmentBytes?: number;
}

export async function run(args: WalPrefetchArguments, context: Context): Promise<number> {
  const { baseDirectory, segment, count, segmentBytes = DEFAULT_SEGMENT_BYTES } = args;
  if (walFileKind(segment) !== 'segment') {
    throw new UsageError('not the name of a WAL segment', { detail: `The name is "${segment}".` });
  }
  if (!isSegmentSize(segmentBytes)) {
    throw new UsageError('not the size of a WAL segment', { detail: `The size is ${segmentBytes} bytes.` });
  }
  const spool = new Spool(baseDirectory, archiveAddress(context.settings));
  spool.make();
  if (!spool.becomeChild()) return 0;
  try {
    const store = await context.openStore();
    const found = await prefetch(
      spool,
      { first: segment, count, segmentBytes },
      { store, signal: context.signal },
    );
    if (!found)
      context.log.info(`Failed to prefetch ${segment}`, { detail: 'The archive does not have it.' });
    return found ? 0 : 1;
  } finally {
    spool.childEnds();
  }
}
