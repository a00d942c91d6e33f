/** One pass over the WAL tree for wal-verify: what is there, what is too short, what is not WAL at all. */
import { type ColdCounts, countCold } from '../archive/cold-storage.ts';
import { classifyKey, WAL_PREFIX } from '../archive/layout.ts';
import { ForeignCount, type ForeignObjects, readHistory } from '../archive/survey.ts';
import { historyTimeline, TimelineTree } from '../archive/timeline.ts';
import { WalInventory } from '../archive/wal-inventory.ts';
import { UserError } from '../errors.ts';
import { walFileKind } from '../postgres/segment.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';
import type { Damage } from './reading.ts';
import { RecentSegments } from './recent.ts';

export interface WalSurvey {
  /** Segments that are whole as far as is known. */
  readonly inventory: WalInventory;
  readonly tree: TimelineTree;
  /** All segments, damaged ones too. */
  readonly listed: WalInventory;
  readonly recent: RecentSegments;
  readonly foreign: ForeignObjects;
  /** Of all segments. */
  readonly cold: ColdCounts;
  /** The first thousand segments that are too short, and histories that cannot be read. */
  readonly problems: readonly Damage[];
}

const PROBLEMS_KEPT = 1000;
/** LZO can shorten nothing more than to a 255th (a run of one byte), and gpg does not compress at all. */
const LARGEST_RATIO = 255;

/** `damaged`: keys that were read and found to be damaged: they count as missing. */
export async function surveyWal(
  store: Store,
  segmentBytes: number,
  damaged: ReadonlyMap<string, string>,
  call: Call,
): Promise<WalSurvey> {
  const survey = {
    inventory: new WalInventory(),
    tree: new TimelineTree([]),
    listed: new WalInventory(),
    recent: new RecentSegments(),
    foreign: new ForeignCount(),
    cold: new Map<string, number>(),
    problems: [] as Damage[],
  };
  const complain = (key: string, problem: string) => {
    if (survey.problems.length < PROBLEMS_KEPT) survey.problems.push({ key, problem });
  };
  for await (const page of store.list(WAL_PREFIX, call))
    for (const object of page) {
      const name = segmentOf(object);
      const timeline = historyOf(object);
      if (name !== undefined) {
        const short = object.size < segmentBytes / LARGEST_RATIO;
        if (short) complain(object.key, `too short to hold a segment: ${object.size} bytes`);
        countCold(survey.cold, object);
        survey.listed.add(name);
        survey.recent.add(name, object.modified);
        if (!short && !damaged.has(object.key)) survey.inventory.add(name);
      } else if (timeline !== undefined) {
        const history = await readHistory(store, timeline, call);
        if (history instanceof UserError) complain(object.key, history.detail ?? history.message);
        else if (history !== undefined) survey.tree.add(history);
      } else if (!isWalFile(object)) survey.foreign.add(object);
    }
  return survey;
}

function walName({ key }: ObjectInfo): string | undefined {
  const classified = classifyKey(key);
  return classified.kind === 'wal' ? classified.name : undefined;
}

function segmentOf(object: ObjectInfo): string | undefined {
  const name = walName(object);
  return name !== undefined && walFileKind(name) === 'segment' ? name : undefined;
}

function historyOf(object: ObjectInfo): number | undefined {
  const name = walName(object);
  return name === undefined ? undefined : historyTimeline(name);
}

function isWalFile(object: ObjectInfo): boolean {
  const name = walName(object);
  return name !== undefined && walFileKind(name) !== 'other';
}
