/** Carries a plan out, or tells what it would do: the same walk over the store either way. */
import type { BackupName } from '../archive/layout.ts';
import type { Store } from '../store/store.ts';
import { doomedSentinels, doomedWal, objectsOf, sentinelOf, wholeBackupTree } from './doomed.ts';
import { type Plan, pinOf } from './plan.ts';
import { type DoomedKey, type Outcome, Sweep, type SweepOptions } from './sweep.ts';

/** A backup whose sentinel could not be removed still exists: its parts and its WAL stay. */
export async function carryOut(plan: Plan, store: Store, options: SweepOptions): Promise<Outcome> {
  const sweep = new Sweep(store, options);
  sweep.expect(expectedKeys(plan));
  const doomed = doomedSentinels(plan);
  const refused = new Set<string>();
  await sweep.keys(
    doomed.map((name) => sentinelOf(plan, name)),
    (key) => refused.add(key),
  );
  const surviving = doomed.filter((name) => refused.has(sentinelOf(plan, name).key));
  const remaining = surviving.length === 0 ? plan : keeping(plan, surviving);
  await sweep.keys(
    plan.goal.kind === 'everything'
      ? wholeBackupTree(store, remaining, surviving, options)
      : backupObjects(store, remaining, new Set(surviving), options),
  );
  await sweep.keys(doomedWal(store, remaining, options));
  await sweep.leftovers(plan.leftovers);
  return sweep.outcome;
}

/** Of complete backups first, oldest first, then of incomplete ones. */
async function* backupObjects(
  store: Store,
  plan: Plan,
  surviving: ReadonlySet<BackupName>,
  options: SweepOptions,
): AsyncGenerator<DoomedKey> {
  const incomplete = plan.incomplete.filter(({ remove }) => remove).map(({ backup }) => backup.name);
  for (const name of [...doomedSentinels(plan), ...incomplete])
    if (!surviving.has(name)) yield* objectsOf(store, name, options);
}

/** The same plan, with the WAL of these backups needed too. */
function keeping(plan: Plan, names: readonly BackupName[]): Plan {
  const history = { tree: plan.findings.tree, segmentBytes: plan.segmentSize.bytes };
  const pins = plan.verdicts
    .filter(({ dated }) => names.includes(dated.backup.name))
    .map(({ dated }) => pinOf(dated.backup, history));
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
