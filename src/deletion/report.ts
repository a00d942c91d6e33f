/** What a plan keeps and deletes, and why: facts with stable names for `--json`, and the same as text. */
import { shownKey } from '../archive/layout.ts';
import { problemOf } from '../archive/problem.ts';
import { describeSpan, type Restorability } from '../archive/restorability.ts';
import type { Verdict } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { WalInventory } from '../archive/wal-inventory.ts';
import { formatBytes } from '../progress.ts';
import { formatCount, formatTable } from '../text/table.ts';
import { segmentBytesOf } from './guard.ts';
import type { IncompleteVerdict, Plan } from './plan.ts';
import { expectedKeys } from './removal.ts';
import type { Outcome } from './sweep.ts';

/** One line of the table of backups. */
export interface ReportedBackup {
  readonly name: string;
  readonly action: 'keep' | 'delete';
  readonly reason: string;
  /** ISO 8601 UTC; null for a backup without a sentinel. */
  readonly finished: string | null;
  readonly timeSource: 'sentinel' | 'label' | 'object' | null;
  readonly objects: number;
  readonly bytes: number;
  /** Before the deletion; null for a backup without a sentinel. */
  readonly restorable: boolean | null;
  readonly problem: string | null;
}

export interface ReportedWal {
  readonly timeline: number;
  readonly first: string;
  readonly last: string;
  readonly segments: number;
  /** Ranges of segments that are missing between first and last. */
  readonly gaps: number;
}

export interface Report {
  readonly dryRun: boolean;
  readonly backups: readonly ReportedBackup[];
  readonly wal: {
    readonly segmentBytes: number;
    readonly segmentBytesSource: string;
    readonly kept: readonly ReportedWal[];
    readonly deleted: readonly ReportedWal[];
    readonly deletedObjects: number;
    readonly deletedBytes: number;
    /** On timelines that no kept backup leads to. */
    readonly unreachableObjects: number;
  };
  readonly leftovers: number;
  readonly unknownObjects: number;
  readonly objectsToDelete: number;
  readonly bytesToDelete: number;
}

export function makeReport(plan: Plan, states: ReadonlyMap<string, Restorability>, dryRun: boolean): Report {
  const { tally, segmentSize, findings } = plan;
  const backups = [
    ...plan.verdicts.map((verdict) => completeLine(verdict, states, plan)),
    ...plan.incomplete.map(incompleteLine),
  ];
  const deleted = backups.filter(({ action }) => action === 'delete');
  const everything = plan.goal.kind === 'everything';
  const foreignBytes = everything ? findings.survey.foreign.bytes : 0;
  return {
    dryRun,
    backups,
    wal: {
      segmentBytes: segmentSize.bytes,
      segmentBytesSource: segmentSize.source,
      kept: walRanges(tally.after, segmentSize.bytes),
      deleted: walRanges(tally.removed, segmentSize.bytes),
      deletedObjects: tally.remove.objects,
      deletedBytes: tally.remove.bytes,
      unreachableObjects: everything ? 0 : tally.beside.objects,
    },
    leftovers: plan.leftovers.length,
    unknownObjects: everything ? 0 : findings.survey.foreign.objects + tally.foreign.objects,
    objectsToDelete: expectedKeys(plan),
    bytesToDelete: deleted.reduce((sum, { bytes }) => sum + bytes, tally.remove.bytes + foreignBytes),
  };
}

function completeLine(
  { dated, keep, reason }: Verdict<SurveyedBackup>,
  states: ReadonlyMap<string, Restorability>,
  plan: Plan,
): ReportedBackup {
  const { backup, finished, source } = dated;
  const state = states.get(backup.name);
  return {
    name: backup.name,
    action: keep ? 'keep' : 'delete',
    reason,
    finished: finished.toISOString(),
    timeSource: source,
    objects: backup.objects,
    bytes: backup.bytes,
    restorable: state?.ok ?? false,
    problem: problemOf(backup, state, segmentBytesOf(backup, plan)),
  };
}

const INCOMPLETE_REASONS = {
  young: 'has no sentinel: may be being made',
  old: 'has no sentinel: left over',
  noted: 'has no sentinel: an earlier delete was interrupted',
};

function incompleteLine({ backup, state, remove }: IncompleteVerdict): ReportedBackup {
  const held = state === 'old' && !remove ? ', but not before what is kept' : '';
  return {
    name: backup.name,
    action: remove ? 'delete' : 'keep',
    reason: INCOMPLETE_REASONS[state] + held,
    finished: null,
    timeSource: null,
    objects: backup.objects,
    bytes: backup.bytes,
    restorable: null,
    problem: null,
  };
}

function walRanges(inventory: WalInventory, segmentBytes: number): ReportedWal[] {
  const coverage = inventory.sized(segmentBytes);
  return coverage.timelines.flatMap((timeline) => {
    const ranges = coverage.ranges(timeline);
    const [first, last] = [ranges[0]?.first, ranges.at(-1)?.last];
    if (first === undefined || last === undefined) return [];
    const nameOf = (index: number) => describeSpan({ timeline, first: index, last: index }, segmentBytes);
    const segments = ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
    return [{ timeline, first: nameOf(first), last: nameOf(last), segments, gaps: ranges.length - 1 }];
  });
}

export function formatReport(report: Report): string {
  const { wal } = report;
  const lines = [
    formatTable(
      ['action', 'backup', 'finished', '>size', 'restorable', 'why'],
      report.backups.map(({ action, name, finished, bytes, restorable, reason, problem }) => [
        action,
        name,
        finished ?? '-',
        formatBytes(bytes),
        restorable === null ? '-' : restorable ? 'yes' : 'NO',
        problem === null ? reason : `${reason} (${problem})`,
      ]),
    ),
    ...wal.kept.map((range) => `WAL kept:    ${rangeLine(range)}\n`),
    ...wal.deleted.map((range) => `WAL deleted: ${rangeLine(range)}\n`),
    `WAL segment size: ${wal.segmentBytes / 1024 ** 2} MB (${SIZE_SOURCES[wal.segmentBytesSource] ?? ''})\n`,
  ];
  if (wal.unreachableObjects > 0)
    lines.push(
      `Left alone: ${formatCount(wal.unreachableObjects, 'WAL file')} on timelines that no kept backup leads to\n`,
    );
  if (report.unknownObjects > 0)
    lines.push(`Left alone: ${formatCount(report.unknownObjects, 'object')} that WAL-E does not know\n`);
  lines.push(totalLine(report));
  return lines.join('');
}

const SIZE_SOURCES: Readonly<Record<string, string>> = {
  sentinel: 'stated by a backup',
  contents: 'read from a segment',
  names: 'seen in the names',
  assumed: 'assumed: nothing in the archive tells',
};

function rangeLine({ timeline, first, last, segments, gaps }: ReportedWal): string {
  const holes = gaps === 0 ? '' : `, ${formatCount(gaps, 'gap')}`;
  return `timeline ${timeline}, ${first} to ${last} (${formatCount(segments, 'segment')}${holes})`;
}

function totalLine(report: Report): string {
  const backups = report.backups.filter(({ action }) => action === 'delete').length;
  const parts = [formatCount(backups, 'backup'), formatCount(report.wal.deletedObjects, 'WAL file')];
  if (report.leftovers > 0) parts.push(formatCount(report.leftovers, 'interrupted upload'));
  const amount = `${formatCount(report.objectsToDelete, 'object')}, ${formatBytes(report.bytesToDelete)}`;
  const verb = report.dryRun ? 'Would be deleted' : 'To be deleted';
  return `${verb}: ${parts.join(', ')}: ${amount}\n`;
}

export function formatOutcome({ removed, failed, failures }: Outcome): string {
  const summary = `Deleted ${formatCount(removed, 'object')}.\n`;
  if (failed === 0) return summary;
  const rows = failures.map(({ key, reason }) => [shownKey(key), reason]);
  return `${summary}Not deleted: ${formatCount(failed, 'object')}.\n${formatTable(['key', 'reason'], rows)}`;
}
