/** Carries a plan out. From the first write to the last, the marker lies in the target. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import type { Log } from '../log.ts';
import { Progress } from '../progress.ts';
import { type Store, urlOf } from '../store/store.ts';
import type { Extracted } from '../tar/extract.ts';
import { makeLinks, putControlFileInPlace } from './finish.ts';
import { isComplete, type Marker, removeMarker, writeMarker } from './marker.ts';
import { MARKER_FILE } from './members.ts';
import { warnOfOldFiles } from './old-files.ts';
import { type Owner, ownerOf } from './owned-file.ts';
import type { PartToFetch } from './part-fetch.ts';
import { fetchParts } from './part-fetches.ts';
import type { Plan } from './plan.ts';
import { prepare } from './prepare.ts';
import { RestoreLocks } from './restore-locks.ts';
import { countFiles } from './restored-files.ts';
import { checkRestored } from './soundness.ts';
import { systemError } from './system-error.ts';

export interface ExecuteCall {
  readonly store: Store;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly poolSize: number;
  /** Called when everything but pg_control is in its place; what it writes is part of the restore. */
  readonly configure: (restored: Restored) => Promise<void>;
}

export interface Restored {
  /** Whose the directory is; undefined unless run by root. */
  readonly owner: Owner | undefined;
  /** The text of PG_VERSION. */
  readonly version: string;
}

export interface Outcome {
  readonly version: string;
  readonly bytes: number;
  readonly seconds: number;
}

export async function execute(plan: Plan, call: ExecuteCall): Promise<Outcome> {
  try {
    return await restore(plan, call);
  } catch (error) {
    throw systemError('could not write to the target of the restore', error);
  }
}

async function restore(plan: Plan, call: ExecuteCall): Promise<Outcome> {
  const locks = new RestoreLocks(call.log);
  try {
    return await restoreInto(plan, await prepare(plan, locks, call.log), call);
  } finally {
    await locks.release();
  }
}

async function restoreInto(plan: Plan, marker: Marker, call: ExecuteCall): Promise<Outcome> {
  const { directory } = plan.target;
  const progress = new Progress({
    log: call.log,
    verb: 'restored',
    totalBytes: plan.bytesLeft,
    totalParts: plan.parts.filter((part) => !isComplete(marker, part)).length,
    terminal: process.stderr,
    now: () => performance.now(),
  });
  try {
    const complete = await extractParts(plan, marker, progress, call);
    const owner = await ownerOf(directory);
    const version = await checkRestored(plan);
    await makeLinks({
      directory,
      tablespaces: plan.tablespaces,
      links: complete.links,
      owner,
      log: call.log,
    });
    await call.configure({ owner, version });
    await warnOfOldFiles(plan, complete, call);
    await putControlFileInPlace(directory);
    await removeMarker(directory);
    return { version, bytes: progress.bytes, seconds: progress.seconds };
  } finally {
    progress.end();
  }
}

async function extractParts(
  plan: Plan,
  begun: Marker,
  progress: Progress,
  call: ExecuteCall,
): Promise<Marker> {
  const { store, log, signal } = call;
  const { directory } = plan.target;
  const left = plan.parts.filter((part) => !isComplete(begun, part));
  // By the clock of the file system: everything older than the marker was there before.
  const { ctimeMs: startedMs } = await stat(join(directory, MARKER_FILE));
  let marker = begun;
  let repeated = plan.resumed !== undefined;
  await fetchParts(left, {
    store,
    log,
    signal,
    width: call.poolSize,
    resumed: plan.resumed !== undefined,
    onStart: ({ key }) => {
      const name = key.slice(key.lastIndexOf('/') + 1);
      progress.note('beginning partition download', {
        detail: `The partition being downloaded is ${name}.`,
        hint: `The absolute ${absoluteKey(store, key)}.`,
      });
    },
    onPlain: (bytes) => progress.add(bytes),
    onRepeat: () => {
      repeated = true;
    },
    place: {
      root: directory,
      mounts: mountsOf(plan),
      inPlaceTablespaces: plan.sentinel.spec !== undefined,
      keepOwners: process.getuid?.() === 0,
      startedMs,
    },
    onPart: async (part, extracted) => {
      marker = withPart(marker, part, extracted);
      await writeMarker(directory, marker);
      progress.partDone(`${urlOf(store, part.key)}: ${extracted.members} members.`);
    },
  });
  if (repeated) await compareCount(plan, begun, marker, signal);
  return marker;
}

/**
 * A name in two parts is found when the second is written, unless what lies there may be the part's own, of an attempt
 * that failed. Then it shows in the number of files, as do files of a part whose object is another one by now.
 */
async function compareCount(
  plan: Plan,
  begun: Marker,
  { parts }: Marker,
  signal: AbortSignal,
): Promise<void> {
  const { directory, walLinks } = plan.target;
  const outside = plan.tablespaces.filter(({ inside }) => !inside).map(({ location }) => location);
  // The marker is no member.
  let found = -1;
  for (const place of [directory, ...walLinks.values(), ...outside])
    found += (await countFiles(place, { sized: false, signal })).files;
  const members = [...parts.values()].reduce((sum, { files }) => sum + files, 0);
  const kept = plan.parts.filter((part) => isComplete(begun, part)).length;
  if (found > members && kept < begun.parts.size && !plan.shared)
    throw new DataError('the target holds files of parts that are other objects by now', {
      detail: `The parts of "${plan.backup.name}" hold ${members} files; ${found} are there.`,
      hint: 'Empty the directory and restore anew.',
    });
  if (found >= members) return;
  throw new DataError('the base backup holds a file twice, and only one of them can be right', {
    detail: `The parts of "${plan.backup.name}" hold ${members} files, of which ${found} are there.`,
    hint: 'Restore into an empty directory: then the name is told.',
  });
}

/** `S3 key is …` as the original says it: with the prefix, without the bucket. */
function absoluteKey(store: Store, key: string): string {
  const url = urlOf(store, key);
  const kind = url.startsWith('s3:') ? 'S3' : 'file';
  return `${kind} key is ${url.replace(/^[a-z0-9]+:\/\/[^/]*\//, '')}`;
}

function mountsOf({ target, tablespaces }: Plan): ReadonlyMap<string, string> {
  return new Map([
    ...target.walLinks,
    ...tablespaces.map(({ oid, location }) => [`pg_tblspc/${oid}`, location] as const),
  ]);
}

function withPart(marker: Marker, { number, size, mark }: PartToFetch, { files, links }: Extracted): Marker {
  return {
    ...marker,
    parts: new Map([...marker.parts, [number, { size, mark, files }]]),
    links: [
      ...marker.links.filter((link) => link.part !== number),
      ...links.map(({ path, target }) => ({ part: number, path, target })),
    ],
  };
}
