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
import { segmentName } from '../postgres/segment.ts';
import type { Call, Store } from '../store/store.ts';
import { readWal, type Wal, wantedTimeline } from './archived-wal.ts';
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
    return [`WAL          all from start to stop of the backup is in the archive`];
  const wal = await readWal(store, [WAL_PREFIX], source === 'assumed' ? undefined : bytes, call);
  const where = backupPosition(backup, wal.coverage.segmentBytes);
  if (!call.follows)
    return [warnUnlessConsistent(reachConsistent(where, wal.tree, wal.coverage), wal, call.log)];
  const reach = followed(where, target, wal);
  await refuseUnreachable(store, reach, target, wal, call);
  if (!stopsEarly(target)) warnUnlessConsistent(reach, wal, call.log);
  return [planLine(reach, target, wal)];
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
    const log = (first + i).toString(16).toUpperCase().padStart(8, '0');
    return `${WAL_PREFIX}${start.slice(0, 8)}${log}`;
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

async function refuseUnreachable(
  store: Store,
  reach: Reach,
  target: RecoveryTarget,
  { coverage }: Wal,
  call: Call,
): Promise<void> {
  if (!stopsEarly(target)) return;
  if (!reach.consistent || reach.end === undefined)
    throw unreachable(
      target,
      `The WAL that makes the backup consistent is not all there: ${gapText(reach, coverage)}.`,
    );
  const last = endName(reach.end, coverage);
  const end =
    reach.missing.length === 0
      ? `the archive ends with ${last}`
      : `after ${last} the archive has a gap: ${gapText(reach, coverage)}`;
  if (target.lsn !== undefined && indexOfLsn(target.lsn, coverage.segmentBytes) > reach.end.index)
    throw unreachable(target, `Along timeline ${reach.target} ${end}.`);
  if (target.time === undefined) return;
  const stored = (await store.head(walKey(last), call))?.modified;
  if (stored !== undefined && stored.getTime() + CLOCK_SLACK_MS < target.time.date.getTime())
    throw unreachable(
      target,
      `Along timeline ${reach.target} ${end}, which was stored at ${stored.toISOString()}.`,
    );
}

function warnUnlessConsistent(reach: Reach, { coverage }: Wal, log: Log): string {
  if (reach.consistent) {
    const last = reach.end === undefined ? 'nowhere' : endName(reach.end, coverage);
    return `WAL          in the archive without a gap to ${last}`;
  }
  log.warning('the archive does not have all WAL that the backup needs', {
    detail: `Missing: ${gapText(reach, coverage)}.`,
    hint: 'Without it the restored server does not start. It may still be in pg_wal of the source, waiting to be archived.',
  });
  return `WAL          MISSING: ${gapText(reach, coverage)}`;
}

function planLine(reach: Reach, target: RecoveryTarget, { coverage }: Wal): string {
  const last = reach.end === undefined ? 'nowhere' : endName(reach.end, coverage);
  const where = describeTarget(target) ?? 'the end of the WAL';
  return `recovery     along timeline ${reach.target} to ${where}; the archive reaches to ${last}`;
}

function gapText({ missing }: Reach, { segmentBytes }: WalCoverage): string {
  const some = missing.slice(0, 5).map((span) => describeSpan(span, segmentBytes));
  return `${some.join(', ')}${missing.length > 5 ? `, and ${missing.length - 5} more ranges` : ''}`;
}

function endName(
  end: { readonly timeline: number; readonly index: number },
  { segmentBytes }: WalCoverage,
): string {
  return segmentName(end.timeline, BigInt(end.index) * BigInt(segmentBytes), segmentBytes);
}

function unreachable(target: RecoveryTarget, detail: string): UserError {
  return new UserError(`the archive does not reach to ${describeTarget(target)}`, {
    detail,
    hint: 'Choose an earlier target, or leave it away to recover as far as the WAL goes.',
  });
}
