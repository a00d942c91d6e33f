/** What follows from an archive's contents: how far each backup can be restored. Pure. */
import type { DatedBackup } from '../archive/chronology.ts';
import {
  positionIn,
  type Reach,
  type Restorability,
  reachNewest,
  restorability,
  type WalSpan,
} from '../archive/restorability.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { TimelineTree } from '../archive/timeline.ts';
import type { WalCoverage } from '../archive/wal-inventory.ts';
import { segmentName } from '../postgres/segment.ts';
import type { RecentSegments } from './recent.ts';

/**
 * `ok`: restores to the end of the newest timeline that it leads to. `gap`: starts, and cannot pass a gap in the WAL.
 * `broken`: does not start.
 */
export type BackupState = 'ok' | 'gap' | 'broken';

export interface Assessment {
  readonly dated: DatedBackup<SurveyedBackup>;
  readonly state: BackupState;
  readonly restorability: Restorability;
  readonly reach: Reach;
  /** Segments that are missing among the very last: the archiver may be busy with them. */
  readonly inFlight: boolean;
}

export interface Archive {
  readonly tree: TimelineTree;
  readonly coverage: WalCoverage;
  /** With segments that are there but damaged. */
  readonly listed: WalCoverage;
  readonly recent: RecentSegments;
}

/** An archiver at work is done with a missing segment this long after it has archived the next one. */
const IN_FLIGHT_MS = 5 * 60 * 1000;

export function assess(dated: DatedBackup<SurveyedBackup>, archive: Archive, now: Date): Assessment {
  const { tree, coverage, listed } = archive;
  const position = positionIn(dated.backup, tree, coverage);
  const reach = reachNewest(position, tree, coverage, listed);
  const found = restorability(dated.backup, tree, coverage);
  const inFlight = reach.missing.length > 0 && reach.missing.every((span) => isInFlight(span, archive, now));
  const state = !found.ok ? 'broken' : reach.missing.length > 0 && !inFlight ? 'gap' : 'ok';
  return { dated, state, restorability: found, reach, inFlight };
}

function isInFlight({ timeline, last }: WalSpan, { recent, coverage }: Archive, now: Date): boolean {
  const next = BigInt(last + 1) * BigInt(coverage.segmentBytes);
  const archived = recent.archived(segmentName(timeline, next, coverage.segmentBytes));
  return archived !== undefined && now.getTime() - archived.getTime() < IN_FLIGHT_MS;
}
