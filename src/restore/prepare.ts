/**
 * From a plan to a target that is this restore's alone. The folders are made and locked, then looked at once more, and
 * only then is anything in them changed: of several restores that began at the same moment, one gets this far.
 */
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { CONTROL_FILE, STAGED_CONTROL_FILE } from '../postgres/cluster-contents.ts';
import { makeFolders } from '../store/file-folders.ts';
import { syncFolder } from '../tar/folders.ts';
import { ifThere } from './if-there.ts';
import { createMarker, describeProcess, type Marker, readMarker, writeMarker } from './marker.ts';
import { MARKER_FILE, MARKER_LEFTOVER } from './members.ts';
import { warnOfOldWal } from './old-wal.ts';
import { giveTo, type Owner, ownerOf } from './owned-file.ts';
import { checkUnchanged, type Plan } from './plan.ts';
import { busy, type RestoreLocks } from './restore-locks.ts';
import { checkLocations } from './tablespaces.ts';

/** Of one backup alone: the server would start from wherever another one's say. */
const PARTICULAR_FILES = [CONTROL_FILE, STAGED_CONTROL_FILE, 'backup_label', 'tablespace_map'];

/** A control file that lies in the target could start the server on half a restore: it goes when the marker is there. */
export async function prepare(plan: Plan, locks: RestoreLocks, log: Log): Promise<Marker> {
  const { backup, target, tablespaces, resumed, shared } = plan;
  const { directory } = target;
  await makeTarget(directory);
  await locks.take(directory, () => whoRestores(directory));
  await checkUnchanged(plan);
  sayOtherHost(plan, log);
  await refuseStarted(plan);
  await refuseLink(dirname(join(directory, CONTROL_FILE)));
  if (shared) await warnOfOldWal(directory, log);
  const owner = await ownerOf(directory);
  await takeOutside(plan, owner, locks);
  const first: Marker = {
    backup: backup.name,
    process: { host: hostname(), pid: process.pid },
    tablespaces: new Map(tablespaces.map(({ oid, location }) => [oid, location])),
    parts: resumed?.parts ?? new Map(),
    links: resumed?.links ?? [],
    overMs: resumed?.overMs,
  };
  const marker = await occupy(plan, first);
  await clearTheWay(directory, marker);
  for (const { location, inside } of tablespaces) {
    if (!inside) continue;
    await makeOwnFolder(dirname(location), owner);
    await makeOwnFolder(location, owner);
  }
  return marker;
}

/** After a run that was killed when only its marker was left to be removed, a server may have started on the directory. */
async function refuseStarted({ target, resumed }: Plan): Promise<void> {
  const inTarget = (name: string) => ifThere(() => lstat(join(target.directory, name)));
  const [control, marker, options] = await Promise.all(
    [CONTROL_FILE, MARKER_FILE, 'postmaster.opts'].map((name) => inTarget(name)),
  );
  // A server writes its options when it starts, and no backup holds them.
  if (resumed === undefined || control === undefined || marker === undefined || options === undefined) return;
  if (options.ctimeMs <= marker.ctimeMs) return;
  throw new UserError('a server has run in the target since it was restored', {
    detail: `"${target.directory}" holds a control file, and the options of a server that were written after the marker file.`,
    hint: `The restore was complete. Remove "${join(target.directory, MARKER_FILE)}", or restore into another directory.`,
  });
}

/** Nobody here can tell whether a process there still runs. In a container the name may be the only thing that changed. */
function sayOtherHost({ resumed }: Plan, log: Log): void {
  if (resumed === undefined || resumed.process.host === hostname()) return;
  log.warning('going on with a restore that another host began', {
    detail: `The last to work on it was process ${resumed.process.pid} of host ${resumed.process.host}.`,
    hint: 'Make sure that it does not run any more.',
  });
}

/** From here on the target holds an incomplete restore, and says so. */
async function occupy({ target, resumed, shared }: Plan, marker: Marker): Promise<Marker> {
  const { directory } = target;
  if (target.marker !== undefined) await writeMarker(directory, marker);
  // Locks end at the border of a machine. A file that only one can make does not.
  else if (!(await createMarker(directory, marker)))
    throw busy(`${await whoRestores(directory)} restores into "${directory}".`);
  if (!shared || resumed !== undefined) return marker;
  const { ctimeMs } = await lstat(join(directory, MARKER_FILE));
  const over = { ...marker, overMs: Math.floor(ctimeMs) };
  await writeMarker(directory, over);
  return over;
}

/** Folders outside of the target: two restores with targets of their own must not share them either. */
async function takeOutside(plan: Plan, owner: Owner | undefined, locks: RestoreLocks): Promise<void> {
  const { target, tablespaces, resumed, shared } = plan;
  for (const place of target.walLinks.values()) await locks.take(place);
  for (const { location, inside } of tablespaces) {
    if (inside) continue;
    await makeOwnFolder(location, owner);
    await locks.take(location);
  }
  await checkLocations(tablespaces, target, resumed !== undefined || shared);
}

/** Behind a link lies another cluster's control file, which must stay. */
async function refuseLink(folder: string): Promise<void> {
  const there = await ifThere(() => lstat(folder));
  if (there === undefined || there.isDirectory()) return;
  throw new UserError('refusing to restore through something that is not a directory', {
    detail: folder,
    hint: 'Restore into an empty directory.',
  });
}

/** What another restore or another cluster left must not be taken for this backup's. */
async function clearTheWay(directory: string, { parts }: Marker): Promise<void> {
  for (const name of await readdir(directory))
    if (name.startsWith(MARKER_LEFTOVER)) await rm(join(directory, name), { force: true });
  // A run that was ended within its last step had moved its control file already.
  if (parts.size > 0)
    await ifThere(() => rename(join(directory, CONTROL_FILE), join(directory, STAGED_CONTROL_FILE)));
  else for (const name of PARTICULAR_FILES) await rm(join(directory, name), { force: true });
}

/** Folders above the target are as the user's umask has them: root's must stay open to the server. */
async function makeTarget(directory: string): Promise<void> {
  await makeFolders(dirname(directory));
  await makeOwnFolder(directory, undefined);
}

async function makeOwnFolder(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    throw error;
  }
  await giveTo(path, owner);
  syncFolder(dirname(path));
}

/** The other one may not have written its marker yet, or have removed it just now. */
async function whoRestores(directory: string): Promise<string> {
  const marker = await readMarker(directory).catch(() => undefined);
  return marker === undefined ? 'Another process' : describeProcess(marker);
}
