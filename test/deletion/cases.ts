/** One archive at random, one delete: with a dry run, undisturbed, killed and run again; checked against the oracle. */
import { setImmediate } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { restorability } from '../../src/archive/restorability.ts';
import { type SurveyedBackup, surveyBackups } from '../../src/archive/survey.ts';
import { TimelineTree } from '../../src/archive/timeline.ts';
import { WalRule } from '../../src/archive/wal-rule.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { tallyWal } from '../../src/deletion/wal-tally.ts';
import { UserError } from '../../src/errors.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { seededRandom } from '../harness/random.ts';
import { makeModel } from './model.ts';
import { DAY, type Model, type ModelBackup, type ModelWal } from './model-facts.ts';
import {
  apparentPins,
  goes,
  historiesAreKnown,
  isNeeded,
  isReplaced,
  keptNames,
  type ModelGoal,
  type ModelPin,
  maySpare,
  pins,
  placeInName,
  refusal,
} from './oracle.ts';
import { beliefInDates, isReachable } from './oracle-dates.ts';
import { complete, isFirm } from './oracle-times.ts';

const COMMON = { confirm: true, dryRun: false, json: true, orphansOlderThan: undefined } as const;
const call = { signal: new AbortController().signal };

function argumentsOf(goal: ModelGoal): DeleteArguments {
  if (goal.verb === 'retain') return { ...COMMON, verb: 'retain', count: goal.count, retainDays: goal.days };
  if (goal.verb === 'everything') return { ...COMMON, verb: 'everything' };
  const name = 'backup' in goal ? goal.backup.name : goal.segment.key.slice(8, 32);
  return { ...COMMON, verb: 'before', name };
}

function goalFor(model: Model, random: () => number): ModelGoal {
  const all = complete(model);
  const choice = random();
  const some = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)];
  const backup = some(all);
  if (choice < 0.3 && backup !== undefined) return { verb: 'before', backup };
  const segment = some(model.wal.filter(({ key }) => !key.includes('.backup')));
  const isOneSystem = new Set(model.timelines.map(({ system }) => system)).size === 1;
  if (choice < 0.45 && segment !== undefined && isOneSystem) return { verb: 'before', segment };
  if (choice < 0.5) return { verb: 'everything' };
  const days = random() < 0.4 ? 1 + Math.floor(random() * 30) : undefined;
  const most = random() < 0.5 ? 2 : all.length + 1;
  return { verb: 'retain', count: 1 + Math.floor(random() * most), days };
}

function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [key, stored] of store.objects) copy.objects.set(key, stored);
  copy.uploads.push(...store.uploads);
  return copy;
}

/** Names of the complete backups that the same check as backup-fetch's calls restorable. */
async function restorable(store: MemoryStore, segmentBytes: number): Promise<Set<string>> {
  const tree = new TimelineTree([]);
  const rule = new WalRule([], { tree, segmentBytes }, NO_LIMITS);
  const selection = { rule, segmentBytes, everything: 'no' } as const;
  const { before } = await tallyWal(store, selection, tree, call);
  const { backups } = await surveyBackups(store, call);
  const isOk = (backup: SurveyedBackup) =>
    backup.sentinel !== undefined &&
    restorability(backup, tree, before.sized(sizeOf(backup) ?? segmentBytes)).ok;
  return new Set(backups.filter(isOk).map(({ name }) => name));
}

function sizeOf({ reading }: SurveyedBackup): number | undefined {
  return reading.kind === 'read' ? reading.sentinel.own?.segmentBytes : undefined;
}

/** The same for a plan, which knows some segments to be another system's than that of the backups that would need them. */
async function restorableAsPlanned(model: Model, goal: ModelGoal): Promise<Set<string>> {
  const store = copyOf(model.store);
  const held = apparentPins(model, keptNames(model, goal), goal);
  if (beliefInDates(model, held) !== 'yes') return restorable(store, model.segmentBytes);
  for (const wal of model.wal) if (isReplaced(model, wal, held)) store.objects.delete(wal.key);
  return restorable(store, model.segmentBytes);
}

const NO_LIMITS = { below: undefined, severalSystems: false, liveSince: new Date(0) };

/** What must hold whenever one looks, also in the middle. `refused`: a backup that the store would not let go. */
async function checkSafety(
  model: Model,
  before: ReadonlySet<string>,
  store: MemoryStore,
  goal: ModelGoal,
  refused: readonly string[] = [],
) {
  await checkListed(model, before, store);
  const held = pins(model, new Set([...keptNames(model, goal), ...refused]), goal);
  for (const wal of model.wal)
    if (isNeeded(model, wal, held) && !store.objects.has(wal.key) && !isGivenUp(model, wal, held))
      throw new Error(`${wal.key} was needed`);
}

/** By its date it is another system's, and no recovery comes to it: another system's WAL stands in the way. */
function isGivenUp(model: Model, wal: ModelWal, held: readonly ModelPin[]): boolean {
  return isReplaced(model, wal, held) && !isReachable(model, wal, held);
}

async function checkListed(model: Model, before: ReadonlySet<string>, store: MemoryStore) {
  const now = await restorable(store, model.segmentBytes);
  for (const backup of complete(model)) {
    const { name } = backup;
    const isListed = store.objects.has(`basebackups_005/${name}_backup_stop_sentinel.json`);
    if (isListed && before.has(name) && !now.has(name) && ownWalIsThere(model, backup))
      throw new Error(`${name} is listed and broken`);
  }
}

/** Not so when another system's segment stands in a gap under the right name. */
function ownWalIsThere({ wal }: Model, { system, timeline, start, stop }: ModelBackup): boolean {
  const segments = wal.filter(
    (other) =>
      other.system === system &&
      other.timeline === timeline &&
      other.index >= start &&
      other.index <= stop &&
      !other.key.includes('.backup'),
  );
  return segments.length === stop - start + 1;
}

function must(what: string, stays: boolean, should: boolean): void {
  if (stays !== should) throw new Error(`${what} ${should ? 'should stay' : 'should go'}`);
}

async function checkResult(model: Model, original: MemoryStore, store: MemoryStore, goal: ModelGoal) {
  const kept = keptNames(model, goal);
  const held = apparentPins(model, kept, goal);
  const stays = (key: string) => store.objects.has(key);
  for (const key of original.keys()) {
    const name = /^basebackups_005\/(base_.{24}_.{8})[/_]/.exec(key)?.[1];
    const backup = model.backups.find((other) => other.name === name);
    if (backup === undefined || model.foreign.includes(key)) continue;
    if (backup.state === 'complete') must(key, stays(key), kept.has(backup.name));
    if (backup.state === 'young') must(key, stays(key), true);
  }
  const keepsStrange = goal.verb !== 'everything';
  const keepsHistory = keepsStrange || held.length > 0;
  for (const key of original.keys()) {
    if (model.foreign.includes(key) || key.includes('.partial')) must(key, stays(key), keepsStrange);
    if (key.includes('.history')) must(key, stays(key), keepsHistory);
  }
  if (goal.verb === 'everything') {
    if (historiesAreKnown(model))
      for (const wal of model.wal) must(wal.key, stays(wal.key), isNeeded(model, wal, held));
    return;
  }
  const belief = beliefInDates(model, held);
  if (belief !== 'unsure')
    for (const wal of model.wal)
      if (isReplaced(model, wal, held)) must(wal.key, stays(wal.key), belief === 'no');
  if (!historiesAreKnown(model) || maySpare(model)) return;
  for (const wal of model.wal) must(wal.key, stays(wal.key), !goes(model, wal, held, goal));
  for (const backup of model.backups) {
    if (backup.state !== 'old' || backup.uploading) continue;
    const { timeline, start } = placeInName(model, backup);
    const { system, newest: archived } = backup;
    if (!model.timelines.some(({ number }) => number === timeline)) continue;
    const isBehind = goes(model, { key: '', system, timeline, index: start, archived }, held, goal);
    must(backup.name, stays(`basebackups_005/${backup.name}/extended_version.txt`), !isBehind);
  }
}

/** Runs delete on `count` archives, each with the next seed; throws naming the seed. Returns how often it refused. */
export async function checkCases(firstSeed: number, count: number): Promise<number> {
  let refused = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    // Nothing else here waits for the event loop, and until it turns V8 keeps alive what a WeakRef was made of.
    await setImmediate();
    const random = seededRandom(seed);
    const model = makeModel(random);
    const goal = goalFor(model, random);
    try {
      if (!(await oneCase(model, goal, random))) refused += 1;
    } catch (cause) {
      throw new Error(`seed ${seed}, ${JSON.stringify(argumentsOf(goal))}`, { cause });
    }
  }
  return refused;
}

/** False when delete refused; then nothing may have changed. */
async function oneCase(model: Model, goal: ModelGoal, random: () => number): Promise<boolean> {
  vi.setSystemTime(model.now);
  const before = await restorable(model.store, model.segmentBytes);
  const undisturbed = copyOf(model.store);
  const told = copyOf(model.store);
  const dry = await attempt(told, { ...argumentsOf(goal), confirm: false });
  expect(told.keys()).toEqual(model.store.keys());
  const done = await attempt(undisturbed, argumentsOf(goal));
  checkRefusal(model, goal, await restorableAsPlanned(model, goal), done);
  if (typeof done === 'string') {
    expect(dry).toBe(done);
    expect(undisturbed.keys()).toEqual(model.store.keys());
    return false;
  }
  expect(dry).toEqual(done);
  const isOld = ({ started }: { started: Date }) => started.getTime() <= model.now - 7 * DAY;
  expect(undisturbed.uploads).toEqual(model.store.uploads.filter((upload) => !isOld(upload)));
  const aborted = model.store.uploads.filter(isOld).map(({ key }) => key);
  const gone = model.store.keys().filter((key) => !undisturbed.objects.has(key));
  expect([...done].sort()).toEqual([...gone, ...aborted].map((key) => `memory://test/${key}`).sort());
  await checkSafety(model, before, undisturbed, goal);
  await checkResult(model, model.store, undisturbed, goal);

  await checkStubborn(model, goal, before, gone, random);
  const killed = copyOf(model.store);
  let left = Math.floor(random() * (gone.length + 1));
  killed.beforeRemove = () => {
    if (left === 0) throw new Error('killed');
    left -= 1;
  };
  await attempt(killed, argumentsOf(goal));
  killed.beforeRemove = () => {};
  await checkSafety(model, before, killed, goal);
  const resumed = await attempt(killed, argumentsOf(goal));
  await checkListed(model, before, killed);
  if (isFirm(model)) {
    expect(resumed).toBeInstanceOf(Array);
    // Of systems that differ in size an LSN leads to a name in one way only when the backups of one of them are gone.
    const isSure = beliefInDates(model, apparentPins(model, keptNames(model, goal), goal)) !== 'unsure';
    if (model.isOneSize && isSure) expect(killed.keys()).toEqual(undisturbed.keys());
    else await checkSafety(withoutDeleted(model, goal), before, killed, goal);
  }
  const again = await attempt(undisturbed, argumentsOf(goal));
  await checkListed(model, before, undisturbed);
  // Once the backups are gone whose dates showed that no date is to be believed, others are believed.
  if (!isFirm(model)) return true;
  // Once the backups of the other system are gone there is less to be careful about; otherwise nothing is left to do.
  if (historiesAreKnown(model)) expect(again).toEqual([]);
  else await checkSafety(withoutDeleted(model, goal), before, undisturbed, goal);
  return true;
}

/** One sentinel that should go cannot be removed: then all of that backup stays, and all WAL that it needs. */
async function checkStubborn(
  model: Model,
  goal: ModelGoal,
  before: ReadonlySet<string>,
  gone: readonly string[],
  random: () => number,
): Promise<void> {
  const doomed = gone.filter((key) => key.endsWith('_sentinel.json') && !model.foreign.includes(key));
  const sentinel = doomed[Math.floor(random() * doomed.length)];
  if (sentinel === undefined) return;
  const store = copyOf(model.store);
  store.stubborn.add(sentinel);
  await attempt(store, argumentsOf(goal), 1);
  const objects = sentinel.replace('_backup_stop_sentinel.json', '');
  for (const key of model.store.keys())
    if (key.startsWith(objects) && !model.foreign.includes(key)) must(key, store.objects.has(key), true);
  await checkSafety(model, before, store, goal, [objects.replace('basebackups_005/', '')]);
}

/**
 * What the next delete finds. Where sizes differ, and all complete backups of a system are gone, nothing states any more
 * how its LSNs are spelt in names: to which timelines an incomplete one of it leads cannot be told.
 */
function withoutDeleted(model: Model, goal: ModelGoal): Model {
  const kept = keptNames(model, goal);
  const left = model.backups.filter(({ name, state }) => state !== 'complete' || kept.has(name));
  const stated = new Set(left.filter(({ state }) => state === 'complete').map(({ system }) => system));
  return { ...model, backups: left.filter(({ system }) => model.isOneSize || stated.has(system)) };
}

/** It refuses when it must, for the reason for which it must, and never else. */
function checkRefusal(
  model: Model,
  goal: ModelGoal,
  restorableBefore: ReadonlySet<string>,
  done: readonly string[] | string,
): void {
  const refused = typeof done === 'string' ? done : undefined;
  const systems = new Set(model.timelines.map(({ system }) => system)).size;
  // Whose history file it is that both have written nobody can tell from the archive.
  if (systems > 1 && refused === 'cannot tell which backups are older') return;
  expect(refused).toBe(refusal(model, goal, restorableBefore));
}

/** The addresses that were logged as deleted; why, when delete refused. */
async function attempt(store: MemoryStore, args: DeleteArguments, status = 0): Promise<string[] | string> {
  const context = testContext({ store });
  try {
    expect(await run(args, context)).toBe(status);
  } catch (error) {
    if (error instanceof Error && error.message === 'killed') return [];
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return context.records
    .filter(({ message }) => message.startsWith('deleting ') && message !== 'deleting data in the store')
    .map(({ detail }) => /^The key being deleted is (.*)\.$/.exec(detail ?? '')?.[1] ?? '');
}
