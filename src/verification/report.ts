/** What wal-verify found: facts with stable names for `--json`, and the same as tables. */
import { type ColdCounts, describeCold } from '../archive/cold-storage.ts';
import { shownKey } from '../archive/layout.ts';
import { problemOf } from '../archive/problem.ts';
import { describeSpan, type WalSpan } from '../archive/restorability.ts';
import type { SegmentSize } from '../archive/segment-size.ts';
import type { ForeignObjects } from '../archive/survey.ts';
import { formatLsn, segmentTimeline } from '../postgres/segment.ts';
import { formatBytes } from '../progress.ts';
import { formatCount, formatTable } from '../text/table.ts';
import type { Archive, Assessment, BackupState } from './assessment.ts';
import type { Damage, Readings } from './reading.ts';

interface ReportedSpan {
  readonly timeline: number;
  readonly first: string;
  readonly last: string;
  readonly segments: number;
}

interface ReportedTimeline {
  readonly timeline: number;
  /** null: it has none, or its history file is missing. */
  readonly parent: number | null;
  readonly branchedAt: string | null;
  readonly historyKnown: boolean;
  readonly first: string | null;
  readonly last: string | null;
  readonly segments: number;
  readonly gaps: readonly ReportedSpan[];
}

interface ReportedBackup {
  readonly name: string;
  readonly finished: string;
  readonly state: BackupState;
  /** The newest timeline that it leads to, and how far along it can be restored. */
  readonly followsTimeline: number;
  readonly restorableTo: string | null;
  /** The first hundred ranges. */
  readonly missing: readonly ReportedSpan[];
  readonly problem: string | null;
  readonly inFlight: boolean;
  /** Class -> parts in cold storage, as listed: brought back or not. */
  readonly coldParts: Readonly<Record<string, number>>;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly segmentBytes: number;
  readonly segmentBytesSource: SegmentSize['source'];
  /** To which WAL was archived last; null without any WAL. */
  readonly currentTimeline: number | null;
  /** What was archived last, and when (ISO 8601): a restore goes no further. null without any WAL. */
  readonly lastSegment: string | null;
  readonly lastArchived: string | null;
  readonly timelines: readonly ReportedTimeline[];
  readonly backups: readonly ReportedBackup[];
  readonly damaged: readonly Damage[];
  readonly foreignObjects: number;
  readonly foreignKeys: readonly string[];
  /** Class -> segments in cold storage, as listed. */
  readonly coldSegments: Readonly<Record<string, number>>;
  /** `cold`: objects that could not be read, since they are in cold storage. */
  readonly read: {
    readonly part: string;
    readonly objects: number;
    readonly bytes: number;
    readonly cold: number;
  } | null;
}

export interface Findings {
  readonly archive: Archive;
  readonly segmentSize: SegmentSize;
  readonly assessments: readonly Assessment[];
  readonly problems: readonly Damage[];
  readonly foreign: readonly ForeignObjects[];
  readonly coldSegments: ColdCounts;
  readonly readings: (Readings & { readonly part: string }) | undefined;
}

const SPANS_TOLD = 100;

export function makeReport({
  archive,
  segmentSize,
  assessments,
  problems,
  foreign,
  coldSegments,
  readings,
}: Findings): VerifyReport {
  const read = [...(readings?.damaged ?? [])].map(([key, problem]) => ({ key, problem }));
  const damaged = [...problems, ...read].sort((a, b) => (a.key < b.key ? -1 : 1));
  const { last } = archive.recent;
  return {
    ok: assessments.every(({ state }) => state === 'ok') && damaged.length === 0,
    segmentBytes: segmentSize.bytes,
    segmentBytesSource: segmentSize.source,
    currentTimeline: last === undefined ? null : segmentTimeline(last.name),
    lastSegment: last?.name ?? null,
    lastArchived: last?.at.toISOString() ?? null,
    timelines: timelinesOf(archive),
    backups: assessments.map((assessment) => backupOf(assessment, segmentSize.bytes)),
    damaged,
    foreignObjects: foreign.reduce((sum, { objects }) => sum + objects, 0),
    foreignKeys: foreign.flatMap(({ keys }) => keys),
    coldSegments: Object.fromEntries(coldSegments),
    read: readings === undefined ? null : readOf(readings),
  };
}

function readOf({ part, objects, bytes, cold }: NonNullable<Findings['readings']>): VerifyReport['read'] {
  return { part, objects, bytes, cold };
}

function timelinesOf({ tree, coverage }: Archive): ReportedTimeline[] {
  const all = [...new Set([...coverage.timelines, ...tree.timelines])].sort((a, b) => a - b);
  return all.map((timeline) => {
    const parent = tree.history(timeline)?.ancestors.at(-1);
    const ranges = coverage.ranges(timeline);
    const gaps = ranges.slice(1).map(({ first }, at) => {
      const before = ranges[at]?.last ?? first;
      return spanOf({ timeline, first: before + 1, last: first - 1 }, coverage.segmentBytes);
    });
    const nameOf = (index: number | undefined) =>
      index === undefined
        ? null
        : describeSpan({ timeline, first: index, last: index }, coverage.segmentBytes);
    return {
      timeline,
      parent: parent?.timeline ?? null,
      branchedAt: parent === undefined ? null : formatLsn(parent.end),
      historyKnown: timeline === 1 || tree.history(timeline) !== undefined,
      first: nameOf(ranges[0]?.first),
      last: nameOf(ranges.at(-1)?.last),
      segments: ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0),
      gaps: gaps.slice(0, SPANS_TOLD),
    };
  });
}

function backupOf(
  { dated, state, reach, restorability, inFlight }: Assessment,
  segmentBytes: number,
): ReportedBackup {
  const { backup, finished } = dated;
  const [gap] = reach.missing;
  const gapText = gap === undefined ? null : `WAL is missing: ${describeSpan(gap, segmentBytes)}`;
  const end = reach.end;
  return {
    name: backup.name,
    finished: finished.toISOString(),
    state,
    followsTimeline: reach.target,
    restorableTo:
      state === 'broken' || end === undefined
        ? null
        : describeSpan({ timeline: end.timeline, first: end.index, last: end.index }, segmentBytes),
    missing: reach.missing.slice(0, SPANS_TOLD).map((span) => spanOf(span, segmentBytes)),
    problem: problemOf(backup, restorability, segmentBytes) ?? gapText,
    inFlight,
    coldParts: Object.fromEntries(backup.cold),
  };
}

function spanOf(span: WalSpan, segmentBytes: number): ReportedSpan {
  const { timeline, first, last } = span;
  const nameOf = (index: number) => describeSpan({ timeline, first: index, last: index }, segmentBytes);
  return { timeline, first: nameOf(first), last: nameOf(last), segments: last - first + 1 };
}

export function formatReport(report: VerifyReport): string {
  const sections = [timelineTable(report), backupTable(report)];
  if (report.damaged.length > 0)
    sections.push(
      formatTable(
        ['damaged object', 'problem'],
        report.damaged.map(({ key, problem }) => [shownKey(key), problem]),
      ),
    );
  if (report.foreignObjects > 0)
    sections.push(
      `${formatCount(report.foreignObjects, 'object')} that WAL-E does not know: ${shownKey(report.foreignKeys[0] ?? '')} ...\n`,
    );
  const { read } = report;
  if (read !== null)
    sections.push(
      `Read: part ${read.part}, ${formatCount(read.objects, 'object')}, ${formatBytes(read.bytes)}${read.cold === 0 ? '' : `; ${formatCount(read.cold, 'object')} NOT READ, in cold storage`}\n`,
    );
  if (isCold(report)) sections.push(`${coldLine(report)}\n`);
  sections.push(`${summary(report)}\n`);
  return sections.join('\n');
}

function isCold({ coldSegments, backups }: VerifyReport): boolean {
  return Object.keys(coldSegments).length > 0 || backups.some(hasCold);
}

function hasCold({ coldParts }: ReportedBackup): boolean {
  return Object.keys(coldParts).length > 0;
}

function coldLine({ coldSegments, backups }: VerifyReport): string {
  const segments = describeCold(new Map(Object.entries(coldSegments)), 'segment') ?? 'no WAL';
  const count = formatCount(backups.filter(hasCold).length, 'backup');
  return `In cold storage, unless it was brought back: ${segments}; parts of ${count}`;
}

/** Whether the WAL still comes, an archive cannot tell: the end of it may be long ago. */
function summary(report: VerifyReport): string {
  if (!report.ok) return 'NOT all is well: see above.';
  if (report.backups.length === 0) return 'There is no base backup: nothing can be restored.';
  const once = isCold(report) ? ', once what is in cold storage is brought back' : '';
  const { lastSegment, lastArchived } = report;
  const end =
    lastSegment === null ? '' : ` Its last segment, ${lastSegment}, was archived at ${lastArchived}.`;
  return `All backups can be restored to the end of the WAL${once}.${end}`;
}

function timelineTable({ timelines, currentTimeline }: VerifyReport): string {
  return formatTable(
    ['>timeline', 'from', 'first segment', 'last segment', '>segments', '>gaps', 'note'],
    timelines.map(({ timeline, parent, branchedAt, historyKnown, first, last, segments, gaps }) => [
      String(timeline),
      parent === null ? '-' : `${parent} at ${branchedAt}`,
      first ?? '-',
      last ?? '-',
      String(segments),
      String(gaps.length),
      historyKnown ? (timeline === currentTimeline ? 'current' : '') : 'HISTORY FILE MISSING',
    ]),
  );
}

function backupTable({ backups, currentTimeline }: VerifyReport): string {
  return formatTable(
    ['backup', 'finished', 'state', 'restorable to', 'note'],
    backups.map(({ name, finished, state, restorableTo, followsTimeline, problem, inFlight, coldParts }) => {
      const aside =
        followsTimeline === currentTimeline
          ? ''
          : `leads to timeline ${followsTimeline}, not to the current one`;
      const note = inFlight ? 'the last segments are still being archived' : (problem ?? aside);
      const cold = describeCold(new Map(Object.entries(coldParts)));
      const notes = [note, cold].filter(Boolean).join('; ');
      return [name, finished, state === 'ok' ? 'ok' : state.toUpperCase(), restorableTo ?? '-', notes];
    }),
  );
}
