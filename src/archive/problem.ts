/** Why a backup cannot be restored, in words. */
import { partText } from './layout.ts';
import { describeSpan, type Restorability } from './restorability.ts';
import type { SurveyedBackup } from './survey.ts';

/** The first of a backup's problems, in words; null when there is none. */
export function problemOf(
  backup: SurveyedBackup,
  state: Restorability | undefined,
  segmentBytes: number,
): string | null {
  if (backup.reading.kind === 'unreadable') return `unreadable sentinel: ${backup.reading.error.message}`;
  const [part] = state?.parts ?? [];
  if (part !== undefined) {
    const more = (state?.parts.length ?? 0) > 1 ? ` (${state?.parts.length} such problems)` : '';
    return `${partText(part.number)} is ${part.kind === 'size' ? 'not of its size' : part.kind}${more}`;
  }
  const [gap] = state?.wal ?? [];
  return gap === undefined ? null : `WAL is missing: ${describeSpan(gap, segmentBytes)}`;
}
