/** What lies in the directory that a backup is to be restored into, looked at before anything is written. */
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { UserError } from '../errors.ts';
import { OID } from '../postgres/tablespaces.ts';
import { ifThere } from './if-there.ts';
import { type Marker, readMarker } from './marker.ts';
import { MARKER_FILE, MARKER_LEFTOVER, WAL_FOLDERS } from './members.ts';

/** A symbolic link that the operator made beforehand. */
export interface PreparedLink {
  /** Where it leads, absolute, as written. */
  readonly location: string;
  /** The same without symbolic links; undefined when no directory is there. */
  readonly directory: string | undefined;
}

export interface Target {
  /** Absolute, without symbolic links. */
  readonly directory: string;
  readonly exists: boolean;
  /** What is in it that a restore did not put there: empty unless `--force` is needed. */
  readonly foreign: readonly string[];
  /** The unfinished restore that lies in it. */
  readonly marker: Marker | undefined;
  /** Oid -> link in `pg_tblspc`. */
  readonly tablespaceLinks: ReadonlyMap<string, PreparedLink>;
  /** `pg_wal` or `pg_xlog` when it is a link to a directory: the operator put the WAL elsewhere. It is foreign unless empty. */
  readonly walLinks: ReadonlyMap<string, string>;
}

/** Throws UserError when the directory is in use or is none. */
export async function inspectTarget(path: string): Promise<Target> {
  const named = resolve(path);
  const found = await ifThere(() => stat(named));
  if (found === undefined) {
    if ((await ifThere(() => lstat(named))) !== undefined) throw notDirectory(named);
    const none = new Map<string, never>();
    return {
      directory: await withRealParents(named),
      exists: false,
      foreign: [],
      marker: undefined,
      tablespaceLinks: none,
      walLinks: none,
    };
  }
  if (!found.isDirectory()) throw notDirectory(named);
  if (!mayOwn(found.uid)) throw notOwn(named, found.uid);
  const directory = await realpath(named);
  const names = await readdir(directory);
  if (names.includes('postmaster.pid')) throw live(directory);
  const tablespaceLinks = await linksIn(join(directory, 'pg_tblspc'));
  const walLinks = await walLinksIn(directory, names);
  const marker = names.includes(MARKER_FILE) ? await readMarker(directory) : undefined;
  const foreign = names.filter(
    (name) =>
      name !== 'lost+found' &&
      !name.startsWith(MARKER_LEFTOVER) &&
      !walLinks.get(name)?.isEmpty &&
      !(name === 'pg_tblspc' && tablespaceLinks !== undefined),
  );
  return {
    directory,
    exists: true,
    foreign,
    marker,
    tablespaceLinks: tablespaceLinks ?? new Map(),
    walLinks: new Map([...walLinks].map(([name, { place }]) => [name, place])),
  };
}

/** Only its owner may give a directory the rights that the server wants of it; and the server wants to be its owner. */
function mayOwn(uid: number): boolean {
  const user = process.geteuid?.();
  return user === undefined || user === 0 || user === uid;
}

function notOwn(directory: string, uid: number): UserError {
  return new UserError('the target of the restore belongs to another user', {
    detail: `"${directory}" belongs to user ${uid}, and PostgreSQL starts only in a directory of the user who runs it.`,
    hint: 'Run the restore as the user who runs the server, or as root; or give a directory below it, such as one below the mount point of a volume.',
  });
}

/** The path of something that is not there, its nearest folder that is without symbolic links. */
async function withRealParents(path: string): Promise<string> {
  const folder = dirname(path);
  const real = await ifThere(() => realpath(folder));
  return join(real ?? (folder === path ? folder : await withRealParents(folder)), basename(path));
}

/** undefined when the folder is absent or holds anything but links named by oids. */
async function linksIn(folder: string): Promise<ReadonlyMap<string, PreparedLink> | undefined> {
  const entries = await ifThere(() => readdir(folder, { withFileTypes: true }));
  if (entries === undefined) return undefined;
  const links = new Map<string, PreparedLink>();
  for (const entry of entries) {
    if (!entry.isSymbolicLink() || !OID.test(entry.name)) continue;
    links.set(entry.name, await prepared(folder, entry.name));
  }
  return links.size === entries.length ? links : undefined;
}

async function prepared(folder: string, name: string): Promise<PreparedLink> {
  const text = await readlink(join(folder, name));
  const location = isAbsolute(text) ? text : resolve(folder, text);
  const led = await ifThere(() => stat(location));
  return { location, directory: led?.isDirectory() ? await realpath(location) : undefined };
}

interface WalLink {
  readonly place: string;
  readonly isEmpty: boolean;
}

async function walLinksIn(
  directory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, WalLink>> {
  const links = new Map<string, WalLink>();
  for (const name of WAL_FOLDERS.filter((folder) => names.includes(folder))) {
    const path = join(directory, name);
    const isLink = (await lstat(path)).isSymbolicLink();
    const led = isLink ? await ifThere(() => stat(path)) : undefined;
    if (!led?.isDirectory()) continue;
    const content = (await readdir(path)).filter((entry) => entry !== 'lost+found');
    links.set(name, { place: await realpath(path), isEmpty: content.length === 0 });
  }
  return links;
}

function live(directory: string): UserError {
  return new UserError('attempting to overwrite a live data directory', {
    detail: `Found a postmaster.pid lockfile in "${directory}".`,
    hint: 'Shut down PostgreSQL. If the lockfile is stale, remove it.',
  });
}

function notDirectory(path: string): UserError {
  return new UserError('the target of the restore is not a directory', { detail: path });
}
