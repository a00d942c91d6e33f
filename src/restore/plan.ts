/** Everything about a restore that can be known before a byte is written, and the refusals that follow from it. */

import type { KnownBackup } from '../archive/catalog.ts';
import { partText } from '../archive/layout.ts';
import { type PartProblem, partProblems } from '../archive/restorability.ts';
import type { Sentinel } from '../archive/sentinel.ts';
import { DataError, UserError } from '../errors.ts';
import type { Call } from '../store/store.ts';
import { formatSome } from '../text/table.ts';
import { checkFreeSpace, type Demand } from './free-space.ts';
import { describeProcess, formatMarker, isComplete, isRestoring, type Marker } from './marker.ts';
import { MARKER_FILE } from './members.ts';
import type { PartToFetch } from './part-fetch.ts';
import { busy } from './restore-locks.ts';
import { readRestoreSpec } from './restore-spec.ts';
import { countFiles } from './restored-files.ts';
import { systemError } from './system-error.ts';
import {
  checkLocations,
  type PlacedTablespace,
  placeTablespaces,
  type TablespaceWishes,
} from './tablespaces.ts';
import { inspectTarget, type Target } from './target.ts';

const SHOWN_NAMES = 5;

export interface PlanWishes {
  readonly directory: string;
  /** FILE or SOURCE. */
  readonly restoreSpec: string | undefined;
  readonly blind: boolean;
  readonly tablespaces: ReadonlyMap<string, string>;
  readonly force: boolean;
}

export interface Plan {
  readonly backup: KnownBackup;
  readonly sentinel: Sentinel;
  readonly target: Target;
  readonly tablespaces: readonly PlacedTablespace[];
  /** All parts, by number. */
  readonly parts: readonly PartToFetch[];
  /** The earlier run that this one goes on with. */
  readonly resumed: Marker | undefined;
  /** Files of others may lie in the target (--force). */
  readonly shared: boolean;
  /** Bytes of files, as far as they are not there yet. */
  readonly bytesLeft: number;
}

/** Looks at the target alone, since a mistake there is the commonest and needs no archive to be seen. */
export async function checkTarget({ directory, force }: PlanWishes): Promise<Target> {
  const target = await inspect(directory);
  if (target.marker !== undefined && (await isRestoring(target.marker)))
    throw busyWith(target.marker, target);
  if (target.marker === undefined && target.foreign.length > 0 && !force) throw occupied(target);
  return target;
}

/** To reach this far took a while: a server or another restore may have come into the target meanwhile, or have ended. */
export async function checkUnchanged({ target, shared }: Plan): Promise<void> {
  const now = await inspect(target.directory);
  if (now.marker !== undefined && (await isRestoring(now.marker))) throw busyWith(now.marker, now);
  if (markerText(target) !== markerText(now)) throw changed(now);
  if (target.marker === undefined && now.foreign.length > 0 && !shared) throw occupied(now);
}

function markerText({ marker }: Target): string | undefined {
  return marker === undefined ? undefined : formatMarker(marker);
}

async function inspect(directory: string): Promise<Target> {
  try {
    return await inspectTarget(directory);
  } catch (error) {
    throw systemError('could not look at the target of the restore', error);
  }
}

export async function makePlan(
  backup: KnownBackup,
  target: Target,
  wishes: PlanWishes,
  call: Call,
): Promise<Plan> {
  if (backup.reading.kind !== 'read') throw new Error('a plan needs a sentinel');
  const { sentinel } = backup.reading;
  const problems = partProblems(backup);
  if (problems.length > 0) throw incomplete(backup, problems);
  const tablespaces = placeTablespaces(sentinel.spec, target, await tablespaceWishes(sentinel, wishes));
  const resumed = resumable(backup, tablespaces, target, wishes.force);
  await checkLocations(tablespaces, target, resumed !== undefined || wishes.force);
  const parts = partsOf(backup, sentinel);
  const done = parts.filter((part) => resumed !== undefined && isComplete(resumed, part));
  const doneBytes = done.reduce((sum, { fact, size }) => sum + (fact?.expandedSize ?? size), 0);
  const bytesLeft = Math.max(0, sentinel.expandedSizeBytes - doneBytes);
  if (!wishes.force) await checkRoom(sentinel, target, tablespaces, resumed, call);
  return { backup, sentinel, target, tablespaces, parts, resumed, shared: wishes.force, bytesLeft };
}

/** What an earlier run has written, also of parts that it did not complete, needs no more room. */
async function checkRoom(
  { expandedSizeBytes, own }: Sentinel,
  { directory }: Target,
  tablespaces: readonly PlacedTablespace[],
  resumed: Marker | undefined,
  call: Call,
): Promise<void> {
  const there = async (place: string) =>
    resumed === undefined ? 0 : (await countFiles(place, { sized: true, ...call })).bytes;
  const apart = tablespaces.filter(({ inside }) => !inside);
  const sizes = apart.map(({ oid }) => own?.tablespaceBytes?.get(oid));
  const known = sizes.filter((bytes) => bytes !== undefined);
  const isKnown = known.length === sizes.length;
  const elsewhere = known.reduce((sum, bytes) => sum + bytes, 0);
  const wholes = [
    { place: directory, bytes: isKnown ? expandedSizeBytes - elsewhere : undefined },
    ...apart.map(({ location }, i) => ({ place: location, bytes: isKnown ? sizes[i] : undefined })),
  ];
  let left = expandedSizeBytes;
  const demands: Demand[] = [];
  for (const { place, bytes } of wholes) {
    const present = await there(place);
    left -= present;
    demands.push({
      directory: place,
      bytes: bytes === undefined ? undefined : Math.max(0, bytes - present),
    });
  }
  await checkFreeSpace(demands, Math.max(0, left));
}

async function tablespaceWishes(sentinel: Sentinel, wishes: PlanWishes): Promise<TablespaceWishes> {
  const { restoreSpec, blind, tablespaces: given, directory } = wishes;
  if (restoreSpec === undefined) return { blind, spec: undefined, given };
  return { blind, spec: await readRestoreSpec(restoreSpec, sentinel.spec, directory), given };
}

/** The marker when this restore can go on with it. Another one's files are never mixed with this one's. */
function resumable(
  backup: KnownBackup,
  tablespaces: readonly PlacedTablespace[],
  target: Target,
  force: boolean,
): Marker | undefined {
  const { marker } = target;
  if (marker === undefined) return undefined;
  const same =
    marker.tablespaces.size === tablespaces.length &&
    tablespaces.every(({ oid, location }) => marker.tablespaces.get(oid) === location);
  if (marker.backup === backup.name && same) return marker;
  if (force) return undefined;
  const places = [...marker.tablespaces].map(([oid, location]) => `${oid}=${location}`).join(', ');
  const what =
    marker.backup === backup.name
      ? `with other places for tablespaces: ${places || 'none'}`
      : `of "${marker.backup}"`;
  throw new UserError('the target holds an incomplete restore of something else', {
    detail: `"${target.directory}" holds a restore ${what}.`,
    hint: 'Go on with that one, or empty the directory. --force restores over it.',
  });
}

function partsOf(backup: KnownBackup, { own }: Sentinel): readonly PartToFetch[] {
  const facts = own === undefined ? undefined : new Map(own.parts.map((fact) => [fact.number, fact]));
  return backup.parts
    .map(({ key, number, size, modified }) => {
      const fact = facts?.get(number);
      return { key, number, size, fact, mark: fact?.sha256 ?? modified.toISOString() };
    })
    .filter(({ fact }) => facts === undefined || fact !== undefined)
    .sort((a, b) => a.number - b.number);
}

function busyWith(marker: Marker, { directory }: Target): UserError {
  return busy(`${describeProcess(marker)} restores into "${directory}".`);
}

function changed({ directory }: Target): UserError {
  return new UserError('another backup-fetch was in the target of the restore meanwhile', {
    detail: `What "${directory}" says of an incomplete restore is not what it said when this command began.`,
    hint: 'Look at what the other one left. If that is not complete, the same command goes on with it.',
  });
}

function occupied({ directory, foreign }: Target): UserError {
  return new UserError('the target of the restore is not empty', {
    detail: `"${directory}" holds ${formatSome(foreign, SHOWN_NAMES)}.`,
    hint: `Give an empty or a new directory. --force restores over what is there, and removes nothing that is not in the backup.${endedText(foreign)}`,
  });
}

/**
 * A run that was killed after it had removed its marker could not say that it was done. While the label is still there, no
 * server has been started on it.
 */
function endedText(names: readonly string[]): string {
  const isRestored = ['PG_VERSION', 'backup_label'].every((name) => names.includes(name));
  return isRestored
    ? ` If it was this version's backup-fetch that was interrupted here, it had come to its end: what it did not complete holds ${MARKER_FILE}.`
    : '';
}

function incomplete({ name }: KnownBackup, problems: readonly PartProblem[]): DataError {
  const some = problems.slice(0, 10).map(describeProblem).join(', ');
  return new DataError('the base backup is not complete in the store', {
    detail: `Of "${name}": ${some}${problems.length > 10 ? `, and ${problems.length - 10} more` : ''}.`,
    hint: 'Nothing was written. Restore another backup: wal-e wal-verify says which can be.',
  });
}

function describeProblem(problem: PartProblem): string {
  const part = partText(problem.number);
  if (problem.kind === 'missing') return `${part} is missing`;
  if (problem.kind === 'repeated') return `${part} is there twice`;
  return `${part} has ${problem.found} bytes instead of ${problem.expected}`;
}
