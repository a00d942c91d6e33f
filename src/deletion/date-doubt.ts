/**
 * Where two systems have used one prefix, only its date shows that WAL which a kept backup would need by its name is the
 * other system's. Dates can be wrong: a store's clock was reset, a copy set dates of its own. So headers are asked before
 * such WAL goes, but not all of them. Recovery reads on without a gap from where a backup starts; of the WAL that it
 * reaches, the first with a wrong date lies at the beginning of a run of such WAL, where a kept backup starts, or where
 * its timeline does. These are read, and the ends of the runs; if one tells a needed system, or nothing, no date is
 * believed.
 */
import { ownFacts } from '../archive/catalog.ts';
import { WAL_PREFIX } from '../archive/layout.ts';
import { earliestSegments } from '../archive/misnamed.ts';
import { orUnreadable, readPlainHead } from '../archive/plain-object.ts';
import { placeOf } from '../archive/retention.ts';
import type { SurveyedBackup } from '../archive/survey.ts';
import { DataError, UserError } from '../errors.ts';
import { inOrder } from '../parallel.ts';
import { LOG_BYTES, segmentName } from '../postgres/segment.ts';
import { checkSegment, readWalPage, SEGMENT_HEAD_BYTES, type WalPage } from '../postgres/wal-page.ts';
import { type Call, type ObjectInfo, type Store, urlOf } from '../store/store.ts';
import type { Plan } from './plan.ts';
import { walFate } from './wal-selection.ts';

/** Why no WAL goes that only dates show to be another system's. */
export interface DateDoubt {
  /** How many stay for that. */
  readonly segments: number;
  readonly detail: string;
  readonly hint: string;
}

const MOST_READ = 4096;
const READ_AT_ONCE = 16;

/** undefined where there is no such WAL, and where the headers bear out what the dates say. */
export async function doubtOfDates(store: Store, plan: Plan, call: Call): Promise<DateDoubt | undefined> {
  const segments = plan.tally.replaced;
  if (segments === 0) return undefined;
  let read = 0;
  const answers = inOrder(tellingSegments(store, plan, call), READ_AT_ONCE, call.signal, (segment, signal) =>
    doubtOf(segment, store, plan, { signal }),
  );
  for await (const doubt of answers) {
    if (doubt !== undefined) return { segments, ...doubt };
    read += 1;
    if (read === MOST_READ) return { segments, ...TOO_MANY };
  }
  return undefined;
}

type Reason = Pick<DateDoubt, 'detail' | 'hint'>;

const MOVE = 'Give each system a prefix of its own: move the backups and the WAL of one of them.';
const TOO_MANY: Reason = {
  detail: `They lie in more pieces than can be looked into (${MOST_READ}).`,
  hint: MOVE,
};

interface Segment extends ObjectInfo {
  readonly name: string;
}

/** Ascending by name. */
async function* tellingSegments(store: Store, plan: Plan, call: Call): AsyncGenerator<Segment> {
  const sizes = sizesOf(plan);
  const beginnings = beginningsIn(plan, sizes);
  let last: (Segment & { readonly isTold: boolean }) | undefined;
  for await (const page of store.list(WAL_PREFIX, call))
    for (const object of page) {
      const { kind, name, verdict } = walFate(object, plan.selection);
      if (kind !== 'segment') continue;
      const replaced = verdict === 'replaced';
      const goesOn = replaced && last !== undefined && follows(last.name, name, sizes);
      if (!goesOn && last?.isTold === false) yield last;
      const isTold = replaced && (!goesOn || beginnings.has(name));
      last = replaced ? { ...object, name, isTold } : undefined;
      if (isTold && last !== undefined) yield last;
    }
  if (last?.isTold === false) yield last;
}

function keptIn({ verdicts }: Plan): readonly SurveyedBackup[] {
  return verdicts.filter(({ keep }) => keep).map(({ dated }) => dated.backup);
}

/** Of the segments of the systems whose backups stay. */
function sizesOf(plan: Plan): readonly number[] {
  const stated = keptIn(plan).map((backup) => ownFacts(backup)?.segmentBytes);
  return [...new Set(stated)].filter((bytes) => bytes !== undefined);
}

/** Whether nothing of any of these systems lies between two names. */
function follows(before: string, after: string, sizes: readonly number[]): boolean {
  const [log, number] = numbersIn(before);
  const [nextLog, nextNumber] = numbersIn(after);
  if (before.slice(0, 8) !== after.slice(0, 8)) return false;
  if (nextLog === log) return nextNumber === number + 1;
  const endsLog = sizes.every((bytes) => number + 1 === LOG_BYTES / bytes);
  return endsLog && nextLog === log + 1 && nextNumber === 0;
}

function numbersIn(name: string): [log: number, number: number] {
  return [Number.parseInt(name.slice(8, 16), 16), Number.parseInt(name.slice(16), 16)];
}

/** Names of segments with which recovery begins, and of those with which it changes over to a timeline. */
function beginningsIn(plan: Plan, sizes: readonly number[]): ReadonlySet<string> {
  const { tree } = plan.findings;
  const names = new Set(keptIn(plan).flatMap(earliestSegments));
  for (const timeline of tree.timelines) {
    const ancestors = tree.history(timeline)?.ancestors ?? [];
    for (const [at, { end }] of ancestors.entries())
      for (const size of sizes) names.add(segmentName(ancestors[at + 1]?.timeline ?? timeline, end, size));
  }
  return names;
}

async function doubtOf(segment: Segment, store: Store, plan: Plan, call: Call): Promise<Reason | undefined> {
  const { key, name, modified } = segment;
  const page = await orUnreadable(() => pageOf(segment, store, call), call);
  if (page instanceof UserError)
    return {
      detail: `The header of ${urlOf(store, key)} does not tell: ${[page.message, page.detail].filter(Boolean).join('. ')}`,
      hint: page.hint ?? 'Run delete where WAL can be read, or give each system a prefix of its own.',
    };
  const place = placeOf(name, { tree: plan.findings.tree, segmentBytes: plan.segmentSize.bytes });
  if (!plan.selection.rule.systemsNeeding(place).has(page.systemIdentifier)) return undefined;
  return {
    detail:
      `${urlOf(store, key)} has the date ${modified.toISOString()}, long before the backups that stay, but its header ` +
      `names their system, ${page.systemIdentifier}: dates in this archive are wrong.`,
    hint: MOVE,
  };
}

/** Of an object that is the segment which it is called. Throws UserError for any other. */
async function pageOf({ key, name }: Segment, store: Store, call: Call): Promise<WalPage> {
  const head = await readPlainHead(store, key, { bytes: SEGMENT_HEAD_BYTES, ...call });
  if (head === undefined) throw new DataError('it is not there any more');
  const page = readWalPage(head);
  if (page === undefined) throw new DataError('it does not start with the header of a WAL page');
  checkSegment(name, page.segmentBytes, head);
  return page;
}
