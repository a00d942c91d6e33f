/**
 * What a base backup needs so that a server starts from it and follows a timeline to its end, and what of that is
 * missing. Pure: backup-fetch asks before it writes, delete before and after it plans, wal-verify for every backup.
 *
 * A recovery that follows a timeline reads each segment from the newest timeline of its history that has it
 * (PostgreSQL: XLogFileReadAnyTLI): a parent's segments up to the one before the switch, and the segment of the
 * switch itself from the child, into which the parent's part was copied.
 */
import { parseLsn, segmentName, segmentTimeline } from '../postgres/segment.ts';
import { type BackupHead, type KnownBackup, ownFacts } from './catalog.ts';
import { backupSegment, CONTROL_PART, countsFromOne, FIRST_NAMED_PART } from './layout.ts';
import { isMisnamed, possibleStarts } from './misnamed.ts';
import type { TimelineTree } from './timeline.ts';
import { type IndexRange, indexOfLsn, segmentIndex, type WalCoverage } from './wal-inventory.ts';

/** Where a backup stands in the WAL. Indexes: byte position / segment size. */
export interface BackupPosition {
  readonly timeline: number;
  readonly startIndex: number;
  /** Last segment needed for a consistent state; undefined when the sentinel does not tell. */
  readonly stopIndex: number | undefined;
  /** Recovery is consistent from here on; undefined when the sentinel does not tell. */
  readonly stopLsn: bigint | undefined;
}

/** Segments of one timeline. */
export interface WalSpan extends IndexRange {
  readonly timeline: number;
}

export type PartProblem =
  | { readonly kind: 'missing'; readonly number: number }
  | { readonly kind: 'repeated'; readonly number: number }
  | { readonly kind: 'size'; readonly number: number; readonly expected: number; readonly found: number };

/** As a listing shows them, or `damaged`: the part was read, and is not what it should be. */
export type FoundPartProblem = PartProblem | { readonly kind: 'damaged'; readonly number: number };

/** What recovery of a backup along one timeline finds in the archive. */
export interface Reach {
  /** The timeline that is followed. */
  readonly target: number;
  /** Segments that are needed up to the newest archived one and are not there. */
  readonly missing: readonly WalSpan[];
  /** The last segment that is reached without a gap; undefined when not even the first is there. */
  readonly end: { readonly timeline: number; readonly index: number } | undefined;
  /** Every segment from start to stop is there. */
  readonly consistent: boolean;
}

export function backupPosition(backup: BackupHead, segmentBytes: number): BackupPosition {
  const startSegment = backupSegment(backup.name);
  const timeline = segmentTimeline(startSegment);
  const startIndex = segmentIndex(startSegment, segmentBytes);
  if (backup.reading.kind !== 'read')
    return { timeline, startIndex, stopIndex: undefined, stopLsn: undefined };
  const { stopSegment, stopOffset, own } = backup.reading.sentinel;
  const stopIndex = segmentIndex(stopSegment, segmentBytes);
  const offset = /^\d{8}$/.test(stopOffset) ? Number(stopOffset) : 0;
  const byName = BigInt(stopIndex) * BigInt(segmentBytes) + BigInt(Math.min(offset, segmentBytes));
  const stopLsn = (own === undefined ? undefined : parseLsn(own.stopLsn)) ?? byName;
  // Whatever the sentinel says, no backup ends before it begins.
  const start = BigInt(startIndex) * BigInt(segmentBytes);
  return {
    timeline,
    startIndex,
    stopIndex: Math.max(stopIndex, startIndex),
    stopLsn: stopLsn < start ? start : stopLsn,
  };
}

/**
 * Parts that are missing or not as the sentinel lists them; without our list (the original's backups) the numbers
 * must run from 0 without a gap, from 1 where WAL-G numbered them.
 */
export function partProblems(backup: Pick<KnownBackup, 'parts' | 'reading'>): PartProblem[] {
  const own = ownFacts(backup);
  const found = new Map<number, number>();
  const problems: PartProblem[] = [];
  for (const { number, size } of backup.parts) {
    if (found.has(number)) problems.push({ kind: 'repeated', number });
    found.set(number, size);
  }
  if (own === undefined) return [...problems, ...numberingGaps(backup.parts, found)];
  for (const { number, size } of own.parts) {
    const actual = found.get(number);
    if (actual === undefined) problems.push({ kind: 'missing', number });
    else if (actual !== size) problems.push({ kind: 'size', number, expected: size, found: actual });
  }
  if (own.parts.length === 0) problems.push({ kind: 'missing', number: 0 });
  return problems;
}

/** At most as many as there are parts, whatever numbers a stranger's keys carry. */
function numberingGaps(parts: KnownBackup['parts'], found: ReadonlyMap<number, number>): PartProblem[] {
  const count = [...found.keys()].filter((number) => number < FIRST_NAMED_PART).length;
  const isWalG = countsFromOne(parts.map(({ key }) => key));
  const numbers = Array.from({ length: Math.max(count, 1) }, (_, i) => (isWalG ? 1 : 0) + i);
  return [...numbers, ...(isWalG ? [CONTROL_PART] : [])]
    .filter((number) => !found.has(number))
    .map((number) => ({ kind: 'missing', number }));
}

/** The WAL that recovery from `position` along `target` reads, up to the last archived segment of `target`. */
function pathOf(
  position: BackupPosition,
  target: number,
  tree: TimelineTree,
  coverage: WalCoverage,
): WalSpan[] {
  const spans: WalSpan[] = [];
  let first = position.startIndex;
  for (const { timeline, end } of tree.history(target)?.ancestors ?? []) {
    if (timeline < position.timeline) continue;
    const switchIndex = indexOfLsn(end, coverage.segmentBytes);
    if (switchIndex > first) spans.push({ timeline, first, last: switchIndex - 1 });
    first = Math.max(first, switchIndex);
  }
  // However little is archived, the backup's own WAL is needed.
  const last = Math.max(coverage.last(target) ?? -1, position.stopIndex ?? position.startIndex);
  if (last >= first) spans.push({ timeline: target, first, last });
  return spans;
}

/**
 * Follows `target` from the backup; `target` must be one of `targetsOf`. `listed`: with segments that are there but
 * damaged, which tell how far the WAL should go.
 */
export function reachAlong(
  position: BackupPosition,
  target: number,
  tree: TimelineTree,
  coverage: WalCoverage,
  listed: WalCoverage = coverage,
): Reach {
  const spans = pathOf(position, target, tree, listed);
  const missing = spans.flatMap(({ timeline, first, last }) =>
    coverage.missing(timeline, first, last).map((gap) => ({ timeline, ...gap })),
  );
  const end = reachedEnd(spans, missing[0]);
  const stop = position.stopIndex ?? position.startIndex;
  return { target, missing, end, consistent: end !== undefined && end.index >= stop };
}

/** Of the segments that recovery from `position` along `target` reads, those that `marked` has. */
export function segmentsAlong(
  position: BackupPosition,
  target: number,
  tree: TimelineTree,
  coverage: WalCoverage,
  marked: WalCoverage,
): WalSpan[] {
  return pathOf(position, target, tree, coverage).flatMap(({ timeline, first, last }) =>
    marked.within(timeline, first, last).map((range) => ({ timeline, ...range })),
  );
}

function reachedEnd(spans: readonly WalSpan[], gap: WalSpan | undefined): Reach['end'] {
  let end: Reach['end'];
  for (const { timeline, first, last } of spans) {
    if (gap?.timeline === timeline) return gap.first > first ? { timeline, index: gap.first - 1 } : end;
    end = { timeline, index: last };
  }
  return end;
}

/** Timelines that a server started from this backup can follow: its own first, then its descendants, ascending. */
export function targetsOf(
  position: BackupPosition,
  tree: TimelineTree,
  segmentBytes: number,
): readonly number[] {
  const needed = position.stopLsn ?? BigInt(position.startIndex) * BigInt(segmentBytes);
  return tree.reachableFrom(position.timeline, needed);
}

/** Along the newest timeline that the backup can follow. */
export function reachNewest(
  position: BackupPosition,
  tree: TimelineTree,
  coverage: WalCoverage,
  listed: WalCoverage = coverage,
): Reach {
  const target = targetsOf(position, tree, coverage.segmentBytes).at(-1) ?? position.timeline;
  return reachAlong(position, target, tree, coverage, listed);
}

/** The way on which the backup gets furthest to a consistent state: a timeline that ended early may go on in a child. */
export function reachConsistent(position: BackupPosition, tree: TimelineTree, coverage: WalCoverage): Reach {
  const ways = targetsOf(position, tree, coverage.segmentBytes).map((target) =>
    reachAlong(position, target, tree, coverage),
  );
  const own = reachAlong(position, position.timeline, tree, coverage);
  return ways.find((reach) => reach.consistent) ?? own;
}

/**
 * Where a backup stands as far as the archive tells: one whose name does not say where it starts is taken to start with
 * the first that it may start with and that is there.
 */
export function positionIn(backup: BackupHead, tree: TimelineTree, coverage: WalCoverage): BackupPosition {
  const { segmentBytes } = coverage;
  const starts = isMisnamed(backup) ? possibleStarts(backup, segmentBytes) : [];
  for (const { timeline, index } of starts) {
    // Of a stopped server: consistent at once.
    const stopLsn = BigInt(index) * BigInt(segmentBytes);
    const position = { timeline, startIndex: index, stopIndex: index, stopLsn };
    if (reachConsistent(position, tree, coverage).consistent) return position;
  }
  return backupPosition(backup, segmentBytes);
}

/** Whether a server can be started from a backup. */
export interface Restorability {
  readonly ok: boolean;
  readonly parts: readonly FoundPartProblem[];
  /** WAL from start to stop that is missing. */
  readonly wal: readonly WalSpan[];
}

/** `backup` with the problems of its parts, as `partProblems` found them. An unreadable sentinel cannot be trusted. */
export function restorability(
  backup: BackupHead & { readonly partProblems: readonly FoundPartProblem[] },
  tree: TimelineTree,
  coverage: WalCoverage,
): Restorability {
  const reach = reachConsistent(positionIn(backup, tree, coverage), tree, coverage);
  const parts = backup.partProblems;
  return {
    ok: backup.reading.kind === 'read' && parts.length === 0 && reach.consistent,
    parts,
    wal: reach.consistent ? [] : reach.missing,
  };
}

/** `00000001000000000000000B`, or the first and the last name and their number, for messages. */
export function describeSpan({ timeline, first, last }: WalSpan, segmentBytes: number): string {
  const name = (index: number) => segmentName(timeline, BigInt(index) * BigInt(segmentBytes), segmentBytes);
  return first === last ? name(first) : `${name(first)} to ${name(last)} (${last - first + 1} segments)`;
}
