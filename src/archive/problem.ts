/** Why a backup cannot be restored, in words. */
import { partText } from './layout.ts';
import { describeSpan, type FoundPartProblem, type Restorability } from './restorability.ts';
import type { SurveyedBackup } from './survey.ts';

/** The first of a backup's problems, in words; null when there is none. */
export function problemOf(
  backup: SurveyedBackup,
  state: Restorability | undefined,
  segmentBytes: number,
): string | null {
  if (backup.reading.kind === 'unreadable') return `unreadable sentinel: ${backup.reading.error.message}`;
  const parts = describePartProblems(state?.parts ?? []);
  if (parts !== undefined) return parts;
  const [gap] = state?.wal ?? [];
  return gap === undefined ? null : `WAL is missing: ${describeSpan(gap, segmentBytes)}`;
}

/** The first of them and how many there are; undefined when there are none. */
export function describePartProblems(problems: readonly FoundPartProblem[]): string | undefined {
  const [part] = problems;
  if (part === undefined) return undefined;
  const more = problems.length > 1 ? ` (${problems.length} such problems)` : '';
  return `${partText(part.number)} is ${part.kind === 'size' ? 'not of its size' : part.kind}${more}`;
}
