/** Carries a plan out, or tells what it would do: the same walk over the store either way. */
import type { BackupName } from '../archive/layout.ts';
import { earliestSegments } from '../archive/misnamed.ts';
import { placeOf } from '../archive/retention.ts';
import { parallel } from '../parallel.ts';
import type { Leftover, Store } from '../store/store.ts';
import {
  doomedSentinels,
  doomedWal,
  objectsOf,
  obsoleteKeys,
  sentinelOf,
  wholeBackupTree,
} from './doomed.ts';
import { removeIncomplete } from './incomplete-removal.ts';
import type { Plan } from './plan.ts';
import { type DoomedKey, type Outcome, Sweep, type SweepOptions } from './sweep.ts';

/** What could not or must not go still exists as a whole: its parts and its WAL stay. */
export async function carryOut(plan: Plan, store: Store, options: SweepOptions): Promise<Outcome> {
  const sweep = new Sweep(store, options);
  sweep.expect(expectedKeys(plan));
  try {
    await sweepPlan(plan, store, sweep, options);
  } finally {
    sweep.clear();
  }
  return sweep.outcome;
}

/** The trees of the layouts before this one. `expected`: for the progress, 0 when nobody counted. */
export async function removeObsolete(
  store: Store,
  leftovers: readonly Leftover[],
  expected: number,
  options: SweepOptions,
): Promise<Outcome> {
  const sweep = new Sweep(store, options);
  sweep.expect(expected);
  try {
    await sweep.keys(obsoleteKeys(store, options));
    await sweep.leftovers(leftovers);
  } finally {
    sweep.clear();
  }
  return sweep.outcome;
}

const SENTINELS_AT_ONCE = 4;

/** Before anything that a sentinel vouches for goes it is looked whether it did go: not every store tells. */
async function sweepPlan(plan: Plan, store: Store, sweep: Sweep, options: SweepOptions): Promise<void> {
  const doomed = doomedSentinels(plan);
  const refused = new Set<string>();
  await sweep.keys(
    doomed.map((name) => sentinelOf(plan, name)),
    (key) => refused.add(key),
  );
  if (!options.dryRun)
    await parallel(doomed, SENTINELS_AT_ONCE, options.signal, async (name, signal) => {
      const { key } = sentinelOf(plan, name);
      if (refused.has(key) || (await store.head(key, { signal })) === undefined) return;
      sweep.isStillThere(key);
      refused.add(key);
    });
  const surviving = doomed.filter((name) => refused.has(sentinelOf(plan, name).key));
  await sweep.keys(
    plan.goal.kind === 'everything'
      ? wholeBackupTree(store, plan, surviving, options)
      : backupObjects(store, plan, new Set(surviving), options),
  );
  const alive = await removeIncomplete(plan, store, sweep, options);
  const needed = [...surviving, ...alive];
  const remaining = needed.length === 0 ? plan : keeping(plan, needed);
  await sweep.keys(doomedWal(store, remaining, options));
  await sweep.leftovers(plan.leftovers);
}

/** Of complete backups, oldest first. */
async function* backupObjects(
  store: Store,
  plan: Plan,
  surviving: ReadonlySet<BackupName>,
  options: SweepOptions,
): AsyncGenerator<DoomedKey> {
  for (const name of doomedSentinels(plan))
    if (!surviving.has(name)) yield* objectsOf(store, plan, name, options);
}

/** The same plan, with the WAL of these backups needed too. */
function keeping(plan: Plan, names: readonly BackupName[]): Plan {
  const { survey, tree } = plan.findings;
  const history = { tree, segmentBytes: plan.segmentSize.bytes };
  const pins = survey.backups
    .filter(({ name }) => names.includes(name))
    .flatMap(earliestSegments)
    .map((segment) => ({ ...placeOf(segment, history), system: undefined, notBefore: undefined }));
  const everything = plan.selection.everything === 'no' ? 'no' : 'but-needed';
  return { ...plan, selection: { ...plan.selection, rule: plan.selection.rule.with(pins), everything } };
}

export function expectedKeys(plan: Plan): number {
  const complete = plan.verdicts.filter(({ keep }) => !keep).map(({ dated }) => dated.backup);
  const incomplete = plan.incomplete.filter(({ remove }) => remove).map(({ backup }) => backup);
  const objects = [...complete, ...incomplete].reduce((sum, backup) => sum + backup.objects, 0);
  const foreign = plan.goal.kind === 'everything' ? plan.findings.survey.foreign.objects : 0;
  return objects + foreign + plan.tally.remove.objects + plan.leftovers.length;
}
