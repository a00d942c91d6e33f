/**
 * Whether the archive has the WAL that a restored backup needs: from start to stop always (else a warning, since it may
 * be elsewhere), and with a target all the way to it (else a refusal, since PostgreSQL would find out after hours).
 */
import type { KnownBackup } from '../archive/catalog.ts';
import { backupSegment, WAL_PREFIX, walKey } from '../archive/layout.ts';
import {
  type BackupPosition,
  backupPosition,
  describeSpan,
  type Reach,
  reachAlong,
  reachConsistent,
  targetsOf,
} from '../archive/restorability.ts';
import { segmentSizeOf } from '../archive/segment-size.ts';
import { indexOfLsn, type WalCoverage } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { hex8, segmentName } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';
import { readWal, segmentAt, type Wal, wantedTimeline } from './archived-wal.ts';
import { warnOfColdWal } from './cold-wal.ts';
import { warnIfGivenUp } from './given-up-timeline.ts';
import { describeTarget, type RecoveryTarget, stopsEarly } from './recovery-target.ts';

export interface WalCheckCall extends Call {
  readonly log: Log;
  /** The server is going to be told what to follow (--recovery-conf). */
  readonly follows: boolean;
}

/** The clocks of the server and of the store need not agree better. */
const CLOCK_SLACK_MS = 5 * 60_000;

/** Returns lines for the plan; throws UserError when the target cannot be reached. */
export async function checkWal(
  store: Store,
  backup: KnownBackup,
  target: RecoveryTarget,
  call: WalCheckCall,
): Promise<readonly string[]> {
  const { bytes, source } = await segmentSizeOf(store, [backup], [backupSegment(backup.name)], call);
  const logs = source === 'assumed' || call.follows ? undefined : logsOf(backup, bytes);
  const position = backupPosition(backup, bytes);
  const near = logs === undefined ? undefined : await readWal(store, logs, bytes, call);
  if (near !== undefined && reachAlong(position, position.timeline, near.tree, near.coverage).consistent)
    return [
      `WAL          all from start to stop of the backup is in the archive`,
      ...(await warnOfColdWal(store, position, position.timeline, near, call)),
    ];
  const wal = await readWal(store, [WAL_PREFIX], source === 'assumed' ? undefined : bytes, call);
  const where = backupPosition(backup, wal.coverage.segmentBytes);
  if (!call.follows) {
    const way = reachConsistent(where, wal.tree, wal.coverage);
    return [
      warnUnlessConsistent(way, wal, call.log),
      ...(await warnOfColdWal(store, where, way.target, wal, call)),
    ];
  }
  const reach = followed(where, target, wal);
  const end = await endOf(store, reach, wal.coverage, call);
  refuseUnreachable(reach, end, target, wal);
  if (!stopsEarly(target)) warnOfGaps(reach, end, wal, call.log);
  if (target.time !== undefined)
    await warnIfGivenUp(store, where, { timeline: reach.target, time: target.time.date }, wal, call);
  return [planLine(reach, end, target, wal), ...(await warnOfColdWal(store, where, reach.target, wal, call))];
}

/** Prefixes of the keys that can be segments from start to stop on the backup's own timeline; undefined when many. */
function logsOf(backup: KnownBackup, segmentBytes: number): readonly string[] | undefined {
  const { startIndex, stopIndex = startIndex } = backupPosition(backup, segmentBytes);
  const start = backupSegment(backup.name);
  const name = (index: number) =>
    segmentName(1, BigInt(index) * BigInt(segmentBytes), segmentBytes).slice(8, 16);
  const [first, last] = [Number.parseInt(name(startIndex), 16), Number.parseInt(name(stopIndex), 16)];
  if (last - first > 16) return undefined;
  return Array.from({ length: last - first + 1 }, (_, i) => {
    return `${WAL_PREFIX}${start.slice(0, 8)}${hex8(first + i)}`;
  });
}

/** The timeline that PostgreSQL will follow, and how far it gets. */
function followed(position: BackupPosition, { timeline }: RecoveryTarget, wal: Wal): Reach {
  const wanted = wantedTimeline(position.timeline, timeline, wal.tree);
  const possible = targetsOf(position, wal.tree, wal.coverage.segmentBytes);
  if (possible.includes(wanted)) return reachAlong(position, wanted, wal.tree, wal.coverage);
  throw new UserError('the timeline cannot be reached from the backup', {
    detail: `The backup is on timeline ${position.timeline}; from its end recovery can follow ${possible.join(', ')}, not ${wanted}.`,
    hint: 'Choose one of these with --target-timeline, or an older backup.',
  });
}

/** The last segment that recovery gets to, and when the store got it: about the time of what it holds. */
interface End {
  readonly index: number;
  readonly name: string;
  readonly stored: Date | undefined;
}

async function endOf(
  store: Store,
  { end }: Reach,
  coverage: WalCoverage,
  call: Call,
): Promise<End | undefined> {
  if (end === undefined) return undefined;
  const name = segmentAt(end, coverage);
  return { index: end.index, name, stored: (await store.head(walKey(name), call))?.modified };
}

function refuseUnreachable(
  reach: Reach,
  end: End | undefined,
  target: RecoveryTarget,
  { coverage }: Wal,
): void {
  if (!stopsEarly(target)) return;
  if (!reach.consistent || end === undefined)
    throw unreachable(
      target,
      `The WAL that makes the backup consistent is not all there: ${gapText(reach, coverage)}.`,
    );
  const { stored } = end;
  const late = target.lsn !== undefined && indexOfLsn(target.lsn, coverage.segmentBytes) > end.index;
  const isLater =
    stored !== undefined &&
    target.time !== undefined &&
    stored.getTime() + CLOCK_SLACK_MS < target.time.date.getTime();
  if (!late && !isLater) return;
  const last = isLater ? `${end.name}, which was stored at ${stored.toISOString()}` : end.name;
  const why =
    reach.missing.length === 0
      ? `the archive ends with ${last}`
      : `the archive has a gap after ${last}: ${gapText(reach, coverage)}`;
  throw unreachable(target, `Along timeline ${reach.target} ${why}.`);
}

/** Recovery to the end takes a gap for it, and opens the server without what comes after. */
function warnOfGaps(reach: Reach, end: End | undefined, wal: Wal, log: Log): void {
  if (!reach.consistent) warnUnlessConsistent(reach, wal, log);
  else if (reach.missing.length > 0)
    log.warning('the archive has a gap, and recovery ends before it', {
      detail: `Along timeline ${reach.target} it gets to ${endText(end)}. Missing: ${gapText(reach, wal.coverage)}.`,
      hint: 'What was committed after that is not recovered. If the missing WAL is in pg_wal of the source or in a copy of the archive, bring it before the server is started.',
    });
}

function warnUnlessConsistent(reach: Reach, { coverage }: Wal, log: Log): string {
  if (reach.consistent) {
    const last = reach.end === undefined ? 'nowhere' : segmentAt(reach.end, coverage);
    return `WAL          in the archive without a gap to ${last}`;
  }
  log.warning('the archive does not have all WAL that the backup needs', {
    detail: `Missing: ${gapText(reach, coverage)}.`,
    hint: 'Without it the restored server does not start. It may still be in pg_wal of the source, waiting to be archived.',
  });
  return `WAL          MISSING: ${gapText(reach, coverage)}`;
}

function planLine(reach: Reach, end: End | undefined, target: RecoveryTarget, { coverage }: Wal): string {
  const where = describeTarget(target) ?? 'the end of the WAL';
  const way = `recovery     along timeline ${reach.target} to ${where}`;
  return reach.consistent
    ? `${way}; the archive reaches to ${endText(end)}`
    : `${way}; MISSING: ${gapText(reach, coverage)}`;
}

function endText(end: End | undefined): string {
  if (end === undefined) return 'nowhere';
  return end.stored === undefined ? end.name : `${end.name} (stored at ${end.stored.toISOString()})`;
}

function gapText({ missing }: Reach, { segmentBytes }: WalCoverage): string {
  const some = missing.slice(0, 5).map((span) => describeSpan(span, segmentBytes));
  return `${some.join(', ')}${missing.length > 5 ? `, and ${missing.length - 5} more ranges` : ''}`;
}

function unreachable(target: RecoveryTarget, detail: string): UserError {
  return new UserError(`the archive does not reach to ${describeTarget(target)}`, {
    detail,
    hint: 'Choose an earlier target, or leave it out to recover as far as the WAL goes.',
  });
}
