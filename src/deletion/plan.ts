/**
 * What a `delete` would do, worked out before anything is touched: which backups stay, what they need, and what of the
 * rest lies behind them. The plan is a rule, not a list of keys, so it fits in memory however large the archive is.
 */
import { ownFacts } from '../archive/catalog.ts';
import { CLOCK_TOLERANCE_MS } from '../archive/chronology.ts';
import { backupSegment } from '../archive/layout.ts';
import { earliestSegments } from '../archive/misnamed.ts';
import { type History, judge, type Policy, placeOf, systemOf, type Verdict } from '../archive/retention.ts';
import { comparableSize, type SegmentSize, segmentSizeOf, sizeSeenIn } from '../archive/segment-size.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import { type Pin, WalRule } from '../archive/wal-rule.ts';
import { MAX_NUMBER_IN_LOG, segmentTimeline } from '../postgres/segment.ts';
import type { Call, Leftover, Store } from '../store/store.ts';
import { type DateDoubt, doubtOfDates } from './date-doubt.ts';
import type { Findings } from './findings.ts';
import { startSegments } from './findings.ts';
import { backupOf, type Incomplete, startsBeingWritten } from './incomplete.ts';
import { newcomerSince } from './newcomer.ts';
import type { WalSelection } from './wal-selection.ts';
import { learn, tallyWal, type WalTally } from './wal-tally.ts';

export type Goal = Policy | { readonly kind: 'everything' };

/** An incomplete backup, and whether it goes. */
export interface IncompleteVerdict extends Incomplete {
  readonly remove: boolean;
}

export interface Plan {
  readonly goal: Goal;
  readonly findings: Findings;
  readonly verdicts: readonly Verdict<SurveyedBackup>[];
  readonly incomplete: readonly IncompleteVerdict[];
  /** Left by interrupted puts, and old enough to go. */
  readonly leftovers: readonly Leftover[];
  readonly segmentSize: SegmentSize;
  readonly selection: WalSelection;
  readonly tally: WalTally;
  /** Why no WAL goes that only its date shows to be another system's; undefined where there is no reason. */
  readonly doubt: DateDoubt | undefined;
  /** WAL behind what is kept stays all the same if it was archived after this: another server's. */
  readonly spareSince: Date | undefined;
  /** Date of the newest object that the plan knows, as the store tells the time. What is newer is not touched. */
  readonly newestSeen: Date;
}

export async function planDeletion(
  store: Store,
  goal: Goal,
  findings: Findings,
  options: Call & { readonly now: Date },
): Promise<Plan> {
  if (goal.kind === 'before-segment')
    await learn(store, segmentTimeline(goal.segment), findings.tree, options);
  const { backups } = findings.survey;
  const starts = startSegments(findings.survey);
  const told = await segmentSizeOf(store, backups, starts, options);
  const inStarts = Math.max(0, ...starts.map(numberInLog));
  const size = comparableSize(told, backups, inStarts);
  const plan = await planWith(store, goal, findings, size, options);
  // Only the whole listing shows whether the WAL contradicts what was stated or had to be assumed.
  const { before, after, removed } = plan.tally;
  const seen = told.source === 'assumed' ? await sizeSeenIn(store, before, options) : undefined;
  const largest = Math.max(inStarts, after.largestInLog, removed.largestInLog);
  const fitting = comparableSize(seen ?? size, backups, largest);
  const fitted =
    fitting.bytes === size.bytes
      ? { ...plan, segmentSize: fitting }
      : await planWith(store, goal, findings, fitting, options);
  const doubt = await doubtOfDates(store, fitted, options);
  const sure =
    doubt === undefined ? fitted : await planWith(store, goal, findings, fitting, { ...options, doubt });
  const spareSince = await newcomerSince(store, sure, options);
  return spareSince === undefined
    ? sure
    : planWith(store, goal, findings, fitting, { ...options, doubt, spareSince });
}

interface PlanOptions extends Call {
  readonly now: Date;
  readonly doubt?: DateDoubt | undefined;
  /** WAL that was archived after this is another server's, of which nothing is known yet. */
  readonly spareSince?: Date;
}

/** Names that no segment size has room for say nothing. */
function numberInLog(segment: string): number {
  const number = Number.parseInt(segment.slice(16, 24), 16);
  return number > MAX_NUMBER_IN_LOG ? 0 : number;
}

/**
 * A timeline's own history passes before its WAL, those of later timelines after it: one of them may lead through it
 * although its own does not say so. Then what was said of it is said anew, with all histories known.
 */
async function planWith(
  store: Store,
  goal: Goal,
  findings: Findings,
  segmentSize: SegmentSize,
  options: PlanOptions,
): Promise<Plan> {
  const plan = await planAsKnown(store, goal, findings, segmentSize, options);
  return plan.selection.rule.isOutdated() ? planWith(store, goal, findings, segmentSize, options) : plan;
}

async function planAsKnown(
  store: Store,
  goal: Goal,
  findings: Findings,
  segmentSize: SegmentSize,
  options: PlanOptions,
): Promise<Plan> {
  const history: History = { tree: findings.tree, segmentBytes: segmentSize.bytes };
  const verdicts = verdictsOf(goal, findings, history, options.now);
  const pins = pinsOf(goal, verdicts, findings, history);
  const rule = new WalRule(pins, history, {
    below: goal.kind === 'everything' || findings.dated.length > 0 ? limitOf(goal, findings, history) : 0,
    severalSystems: findings.systems.length > 1,
    datesAreDoubtful: options.doubt !== undefined,
    liveSince: findings.youngSince,
    spareSince: options.spareSince,
  });
  const everything = goal.kind !== 'everything' ? 'no' : pins.length === 0 ? 'all' : 'but-needed';
  const selection: WalSelection = { rule, segmentBytes: segmentSize.bytes, everything };
  const tally = await tallyWal(store, selection, findings.tree, options);
  const incomplete = findings.incomplete.map((entry) => ({
    ...entry,
    remove: goes(entry, goal, rule, history),
  }));
  const { backups, foreign } = findings.survey;
  const dates = backups.map(({ newest }) => newest.getTime());
  // Only then do they go, too.
  if (goal.kind === 'everything') dates.push(foreign.newest);
  return {
    goal,
    findings,
    verdicts,
    incomplete,
    leftovers: findings.leftovers.filter((leftover) => isDead(leftover, incomplete, findings)),
    segmentSize,
    selection,
    tally,
    doubt: options.doubt,
    spareSince: options.spareSince,
    newestSeen: new Date(dates.reduce((newest, date) => Math.max(newest, date), tally.newest)),
  };
}

function verdictsOf(
  goal: Goal,
  { dated }: Findings,
  history: History,
  now: Date,
): readonly Verdict<SurveyedBackup>[] {
  if (goal.kind !== 'everything') return judge(goal, dated, history, now);
  return dated.map((entry) => ({ dated: entry, keep: false, reason: 'everything goes' }));
}

/** `everything` spares only what is being made. */
function pinsOf(
  goal: Goal,
  verdicts: readonly Verdict<SurveyedBackup>[],
  { incomplete, leftovers, survey, youngSince }: Findings,
  history: History,
): readonly Pin[] {
  const kept = verdicts.filter(({ keep }) => keep).map(({ dated }) => dated.backup);
  const young = incomplete.filter(({ state }) => state === 'young').map(({ backup }) => backup);
  const others = [
    ...young.flatMap(earliestSegments),
    ...startsBeingWritten(leftovers, youngSince),
    ...(goal.kind === 'everything' ? [] : survey.foreignStarts),
  ];
  return [
    ...kept.flatMap((backup) => pinsOfBackup(backup, history)),
    ...others.map((segment) => ({ ...placeOf(segment, history), system: undefined, notBefore: undefined })),
  ];
}

function pinsOfBackup(backup: SurveyedBackup, history: History): Pin[] {
  const notBefore = earliestWal(backup);
  return earliestSegments(backup).map((segment) => ({
    ...placeOf(segment, history),
    system: systemOf(backup),
    notBefore,
  }));
}

/**
 * Nothing that the backup needs was archived before this: its start by the database's clock or by the store's, which its
 * first object tells too, whichever is earliest, less a tolerance.
 */
function earliestWal(backup: SurveyedBackup): Date | undefined {
  const { sentinel, oldest } = backup;
  const own = ownFacts(backup);
  if (own === undefined || sentinel === undefined) return undefined;
  const started = Date.parse(own.startTime);
  const duration = Math.max(Date.parse(own.finishTime) - started, 0);
  const begun = Math.min(started, oldest.getTime(), sentinel.modified.getTime() - duration);
  return new Date(begun - CLOCK_TOLERANCE_MS);
}

/** An old upload under a backup that may be being made may be a part that takes long. */
function isDead(
  leftover: Leftover,
  incomplete: readonly IncompleteVerdict[],
  { youngSince }: Findings,
): boolean {
  const [name] = backupOf(leftover);
  const isAlive = incomplete.some(({ backup, state }) => backup.name === name && state === 'young');
  return leftover.started <= youngSince && !isAlive;
}

/** A name does not always tell where the backup begins. */
function limitOf(goal: Goal, { survey }: Findings, history: History): number | undefined {
  if (goal.kind === 'before-segment') return placeOf(goal.segment, history).index;
  if (goal.kind !== 'before-backup') return undefined;
  const named = survey.backups.filter(({ name }) => name === goal.name);
  const starts = [backupSegment(goal.name), ...named.flatMap(earliestSegments)];
  return Math.min(...starts.map((segment) => placeOf(segment, history).index));
}

function goes({ backup, state }: Incomplete, goal: Goal, rule: WalRule, history: History): boolean {
  if (state !== 'old') return state === 'noted';
  if (goal.kind === 'everything') return true;
  const verdict = rule.judge(placeOf(backupSegment(backup.name), history), backup.newest);
  return verdict === 'behind' || verdict === 'replaced';
}
