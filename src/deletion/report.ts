/** What a plan keeps and deletes, and why: facts with stable names for `--json`. As text: report-text.ts. */
import { problemOf } from '../archive/problem.ts';
import { describeSpan, type Restorability } from '../archive/restorability.ts';
import type { Verdict } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { WalInventory } from '../archive/wal-inventory.ts';
import type { Beside } from './beside.ts';
import { segmentBytesOf } from './guard.ts';
import type { IncompleteVerdict, Plan } from './plan.ts';
import { expectedKeys } from './removal.ts';

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
    /** On timelines that no kept backup leads to, or of another server that has no backup yet. */
    readonly unreachableObjects: number;
  };
  readonly leftovers: number;
  /** In the two trees and beside them. */
  readonly unknownObjects: number;
  /** What of the unknown lies beside the trees, and what else does. */
  readonly beside: Beside;
  readonly objectsToDelete: number;
  readonly bytesToDelete: number;
  /** What is deleted stays as older versions, so that its bytes are not free yet. */
  readonly keepsVersions: boolean;
}

/** What the plan itself does not know. */
export type Surroundings = Pick<Report, 'dryRun' | 'beside' | 'keepsVersions'>;

export function makeReport(
  plan: Plan,
  states: ReadonlyMap<string, Restorability>,
  { dryRun, beside, keepsVersions }: Surroundings,
): Report {
  const { tally, segmentSize, findings } = plan;
  const backups = [
    ...plan.verdicts.map((verdict) => completeLine(verdict, states, plan)),
    ...plan.incomplete.map(incompleteLine),
  ];
  const deleted = backups.filter(({ action }) => action === 'delete');
  const everything = plan.goal.kind === 'everything';
  const foreignBytes = everything ? findings.survey.foreign.bytes : 0;
  const unknown = everything ? 0 : findings.survey.foreign.objects + tally.foreign.objects;
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
    unknownObjects: unknown + beside.objects,
    beside,
    objectsToDelete: expectedKeys(plan),
    bytesToDelete: deleted.reduce((sum, { bytes }) => sum + bytes, tally.remove.bytes + foreignBytes),
    keepsVersions,
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
