/** The refusals of delete: what it does not guess, and what no plan of it may do. */
import { ownFacts } from '../archive/catalog.ts';
import {
  CLOCK_TOLERANCE_MS,
  type Contradiction,
  contradiction,
  hasWrongDate,
} from '../archive/chronology.ts';
import { isSentinelCold } from '../archive/cold-storage.ts';
import { isMisnamed } from '../archive/misnamed.ts';
import {
  positionIn,
  type Restorability,
  reachAlong,
  restorability,
  targetsOf,
} from '../archive/restorability.ts';
import { type History, systemOf } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import type { WalCoverage } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import type { Findings } from './findings.ts';
import type { Plan } from './plan.ts';

/** Throws when the archive's dates and WAL positions contradict each other. */
export function refuseContradiction({ dated, tree }: Findings, segmentBytes: number): void {
  const undated = undatedBackup(dated);
  if (undated !== undefined) throw undatedError(undated);
  const found = contradiction(dated, tree, segmentBytes);
  if (found !== undefined) throw contradictionError(found);
}

/** Where dates of objects are not to be believed nothing tells when a misnamed backup was finished. */
function undatedBackup(dated: Findings['dated']): SurveyedBackup | undefined {
  if (!dated.some(hasWrongDate)) return undefined;
  return dated.find(({ backup }) => isMisnamed(backup))?.backup;
}

function undatedError({ name }: SurveyedBackup): UserError {
  return new UserError('cannot tell which backups are older', {
    detail:
      `${name} was taken of a stopped server: its name does not tell where it starts, and the dates of the objects in ` +
      'this archive contradict the WAL positions of other backups.',
    hint: 'Nothing was deleted. Give the sentinel objects their dates back, or remove that backup by hand.',
  });
}

function contradictionError({ lower, higher, times }: Contradiction): UserError {
  return new UserError('cannot tell which backups are older', {
    detail:
      `${lower.backup.name} comes first by its WAL position, and ${higher.backup.name} by time ` +
      `(${times.map((time) => time.toISOString()).join(' and ')}). ` +
      'The archive was copied with new dates, holds the backups of two systems, or a clock was wrong.',
    hint: 'Nothing was deleted. Give the sentinel objects their dates back, or move the backups of the other system to a prefix of its own.',
  });
}

/**
 * Throws when a backup would go that its sentinel states to be newer than one of another system that stays, and only
 * the date of that object says otherwise: the host's clock was ahead, or the date is not the one with which it was stored.
 */
export function refuseDoubtfulOrder({ verdicts }: Plan, now: Date): void {
  const latest = latestUntil(now.getTime() + CLOCK_TOLERANCE_MS);
  const kept = verdicts.filter(({ keep }) => keep).map(({ dated }) => dated);
  for (const { keep, dated } of verdicts) {
    if (keep || dated.source !== 'object') continue;
    const older = kept.find(
      (other) =>
        other.finished >= dated.finished &&
        latest(other) < latest(dated) &&
        isOfAnother(dated.backup, other.backup),
    );
    if (older !== undefined) throw orderError(dated, latest(dated), older);
  }
}

type Dated = Findings['dated'][number];

/** The later one of what is believed and what is stated, where that can be: ms. */
function latestUntil(possible: number): (dated: Dated) => number {
  return ({ finished, backup }) => {
    const own = ownFacts(backup);
    const stated = own === undefined ? 0 : Date.parse(own.finishTime);
    return stated > possible ? finished.getTime() : Math.max(finished.getTime(), stated);
  };
}

/** Both state their system: between backups of one, positions tell. */
function isOfAnother(one: SurveyedBackup, other: SurveyedBackup): boolean {
  const systems = [systemOf(one), systemOf(other)];
  return systems[0] !== systems[1] && !systems.includes(undefined);
}

function orderError({ backup, finished }: Dated, stated: number, older: Dated): UserError {
  return new UserError('cannot tell which backups are older', {
    detail:
      `${backup.name} was finished at ${new Date(stated).toISOString()} by its sentinel, which was stored at ` +
      `${finished.toISOString()} by its date; ${older.backup.name} of another system, which would stay, was finished at ` +
      `${older.finished.toISOString()}.`,
    hint: 'Nothing was deleted. Give the sentinel object its date back, retain more, or move the backups of one system to a prefix of its own.',
  });
}

/** Whether each complete backup can be restored now, by name. */
export function restorabilities(plan: Plan): ReadonlyMap<string, Restorability> {
  const coverages = new Map<number, WalCoverage>();
  const coverageOf = (bytes: number) => {
    const known = coverages.get(bytes) ?? plan.tally.before.sized(bytes);
    coverages.set(bytes, known);
    return known;
  };
  return new Map(
    plan.verdicts.map(({ dated: { backup } }) => [
      backup.name,
      restorability(backup, plan.findings.tree, coverageOf(segmentBytesOf(backup, plan))),
    ]),
  );
}

/** Systems with different sizes may have used the archive; the plan compares names with the smallest. */
export function segmentBytesOf(backup: SurveyedBackup, { segmentSize }: Plan): number {
  return ownFacts(backup)?.segmentBytes ?? segmentSize.bytes;
}

/** Throws when the plan would leave no backup, or none that can be restored although one can be now. */
export function refuseLoss(plan: Plan, state: ReadonlyMap<string, Restorability>): void {
  if (plan.goal.kind === 'everything' || plan.verdicts.length === 0) return;
  const hint = 'Nothing was deleted. "wal-e delete everything" deletes all backups.';
  if (!plan.verdicts.some(({ keep }) => keep)) throw new UserError('no backup would be left', { hint });
  const isSound = ({ name }: SurveyedBackup) => state.get(name)?.ok === true;
  const canBeSound = (backup: SurveyedBackup) =>
    isSound(backup) || lacksItsSentinelOnly(backup, state.get(backup.name));
  refuseLossOf(isSound, plan, ',');
  refuseLossOf(canBeSound, plan, ', once it is brought back from cold storage,');
}

/** All else of it is there, and the sentinel can be brought back. */
function lacksItsSentinelOnly({ reading }: SurveyedBackup, state: Restorability | undefined): boolean {
  return isSentinelCold(reading) && state?.parts.length === 0 && state.wal.length === 0;
}

function refuseLossOf(
  canBeRestored: (backup: SurveyedBackup) => boolean,
  { verdicts }: Plan,
  condition: string,
): void {
  const able = verdicts.filter(({ dated }) => canBeRestored(dated.backup));
  const lost = able.filter(({ keep }) => !keep).at(-1);
  if (lost === undefined || able.some(({ keep }) => keep)) return;
  throw new UserError('no backup that can be restored would be left', {
    detail: `Of those to be kept none can be restored; ${lost.dated.backup.name} can${condition} and would be deleted.`,
    hint: 'Nothing was deleted. See "wal-e wal-verify" for what is missing, take a new backup, or retain more.',
  });
}

/**
 * The last line of defence: after the plan every kept backup reads the same WAL as before, along each timeline. Only
 * a fault in this program can break that, so it is not a UserError.
 */
export function assertNothingNeededGoes(plan: Plan): void {
  const { segmentSize, findings, selection } = plan;
  if (selection.everything !== 'no') return;
  const history = { tree: findings.tree, segmentBytes: segmentSize.bytes };
  const before = plan.tally.before.sized(segmentSize.bytes);
  const after = plan.tally.after.sized(segmentSize.bytes);
  for (const { keep, dated } of plan.verdicts)
    if (keep && isCutShort(dated.backup, history, before, after))
      throw new Error(`the plan takes WAL that ${dated.backup.name} needs; nothing was deleted`);
}

function isCutShort(
  backup: SurveyedBackup,
  { tree, segmentBytes }: History,
  before: WalCoverage,
  after: WalCoverage,
): boolean {
  const position = positionIn(backup, tree, before);
  const targets = targetsOf(position, tree, segmentBytes);
  const reaches = (coverage: WalCoverage) =>
    JSON.stringify(targets.map((target) => reachAlong(position, target, tree, coverage)));
  return reaches(before) !== reaches(after);
}
