/** Where a named restore point is in the archived WAL, which is read backwards until a segment holds the name. */
import { walKey } from '../archive/layout.ts';
import { openPlain } from '../archive/plain-object.ts';
import type { TimelineTree } from '../archive/timeline.ts';
import { indexOfLsn, type WalCoverage } from '../archive/wal-inventory.ts';
import type { Log } from '../log.ts';
import { RestorePointSearch } from '../postgres/restore-point.ts';
import { formatLsn, segmentName } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';

export interface RecoveryPath {
  /** The timeline that is followed, along its ancestors. */
  readonly timeline: number;
  /** Segment index; nothing before it is of interest. */
  readonly first: number;
  readonly tree: TimelineTree;
  readonly coverage: WalCoverage;
}

interface Segment {
  readonly name: string;
  readonly start: bigint;
}

/** Segments that are read at a time. */
const WIDTH = 4;
const NOTHING = new Uint8Array(0);

/** Byte position of the last one of that name on the path; undefined when no archived segment holds it. */
export async function findRestorePoint(
  store: Store,
  name: string,
  path: RecoveryPath,
  call: Call & { readonly log: Log },
): Promise<bigint | undefined> {
  call.log.info('looking for the restore point in the archived WAL', {
    detail: `Along timeline ${path.timeline}, from its end backwards to the oldest backup.`,
    hint: 'This reads WAL from the archive. It is not needed when a backup is named instead of LATEST.',
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([call.signal, stop.signal]);
  let following: { readonly start: bigint; readonly head: Uint8Array } | undefined;
  let count = 0;
  try {
    for await (const [segment, search] of searches(store, name, path, signal)) {
      count += 1;
      const isNext = following?.start === segment.start + BigInt(path.coverage.segmentBytes);
      const lsn = search?.finish(isNext ? (following?.head ?? NOTHING) : NOTHING);
      following = search === undefined ? undefined : { start: segment.start, head: search.head };
      if (lsn === undefined) continue;
      call.log.info('found the restore point', {
        detail: `"${name}" is at ${formatLsn(lsn)}, in ${segment.name}; segments read: ${count}.`,
      });
      return lsn;
    }
    return undefined;
  } finally {
    stop.abort();
  }
}

/** Newest first; some are read ahead. */
async function* searches(
  store: Store,
  name: string,
  path: RecoveryPath,
  signal: AbortSignal,
): AsyncGenerator<readonly [Segment, RestorePointSearch | undefined]> {
  const underWay: { readonly segment: Segment; readonly search: Promise<RestorePointSearch | undefined> }[] =
    [];
  const first = async () => {
    const begun = underWay.shift();
    return begun === undefined ? undefined : ([begun.segment, await begun.search] as const);
  };
  try {
    for (const segment of segmentsBackwards(path)) {
      const search = searchSegment(store, name, segment, signal);
      search.catch(() => undefined);
      underWay.push({ segment, search });
      const done = underWay.length >= WIDTH ? await first() : undefined;
      if (done !== undefined) yield done;
    }
    for (let done = await first(); done !== undefined; done = await first()) yield done;
  } finally {
    await Promise.allSettled(underWay.map(({ search }) => search));
  }
}

async function searchSegment(
  store: Store,
  name: string,
  segment: Segment,
  signal: AbortSignal,
): Promise<RestorePointSearch | undefined> {
  const content = await openPlain(store, walKey(segment.name), { signal });
  if (content === undefined) return undefined;
  const search = new RestorePointSearch(name, segment.start);
  for await (const chunk of content) search.push(chunk);
  return search;
}

/** What is archived of the path: each segment of the timeline from which PostgreSQL reads it. */
function* segmentsBackwards({ timeline, first, tree, coverage }: RecoveryPath): Generator<Segment> {
  const { segmentBytes } = coverage;
  const ancestors = (tree.history(timeline)?.ancestors ?? []).map((ancestor) => ({
    timeline: ancestor.timeline,
    before: indexOfLsn(ancestor.end, segmentBytes),
  }));
  const last = coverage.last(timeline) ?? ancestors.at(-1)?.before ?? first;
  for (let index = last; index >= first; index -= 1) {
    const on = ancestors.find(({ before }) => index < before)?.timeline ?? timeline;
    if (!coverage.has(on, index)) continue;
    const start = BigInt(index) * BigInt(segmentBytes);
    yield { name: segmentName(on, start, segmentBytes), start };
  }
}
