/**
 * From "all parts are extracted" to a data directory that can be started. Everything that leads elsewhere (links, the
 * tablespace map) is made now, when no more members are written, and pg_control last.
 */
import { lchown, lstat, mkdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { byteString, bytesOf } from '../byte-string.ts';
import { DataError } from '../errors.ts';
import type { Log } from '../log.ts';
import { CONTROL_FILE, STAGED_CONTROL_FILE } from '../postgres/cluster-contents.ts';
import { syncFolder } from '../tar/folders.ts';
import { shown } from '../tar/member-error.ts';
import { ifThere } from './if-there.ts';
import type { MarkedLink } from './marker.ts';
import { WAL_FOLDERS } from './members.ts';
import { giveTo, type Owner, removeUnfinished, replaceFile } from './owned-file.ts';
import { formatTablespaceMap, parseTablespaceMap } from './tablespace-map.ts';
import type { PlacedTablespace } from './tablespaces.ts';

export interface Unfinished {
  readonly directory: string;
  readonly tablespaces: readonly PlacedTablespace[];
  /** Symbolic links of the archive. */
  readonly links: readonly MarkedLink[];
  /** undefined unless run by root. */
  readonly owner: Owner | undefined;
  readonly log: Log;
}

const TABLESPACE_LINK = /^pg_tblspc\/[^/]+$/;
/** Folders that are the server's own: no link of an archive in them may lead outside. */
const SERVERS_OWN = /^(base|global|pg_[^/]+)(\/|$)/;
const MAX_MAP_BYTES = 64 * 1024 * 1024;

/** Makes links and folders and rewrites the tablespace map. */
export async function makeLinks(restore: Unfinished): Promise<void> {
  await removeUnfinished(restore.directory);
  for (const link of restore.links) await makeArchivedLink(link, restore);
  await makeWalFolder(restore);
  for (const tablespace of restore.tablespaces) await makeTablespaceLink(tablespace, restore);
  await rewriteTablespaceMap(restore);
}

/** The last step: from now on the server can be started. */
export async function putControlFileInPlace(directory: string): Promise<void> {
  syncFolder(directory);
  await rename(join(directory, STAGED_CONTROL_FILE), join(directory, CONTROL_FILE));
  syncFolder(dirname(join(directory, CONTROL_FILE)));
}

async function makeArchivedLink({ path, target }: MarkedLink, restore: Unfinished): Promise<void> {
  const { log } = restore;
  if (WAL_FOLDERS.includes(path) || TABLESPACE_LINK.test(path)) {
    // Its place is decided by this restore; the source's may be in use by the source.
    log.warning('left out a symbolic link of the source', {
      detail: `${shown(path)} led to ${shown(target)}.`,
    });
    return;
  }
  const end = posix.isAbsolute(target) ? '..' : posix.normalize(posix.join(posix.dirname(path), target));
  const leaves = end === '..' || end.startsWith('../');
  if (leaves && SERVERS_OWN.test(path))
    throw new DataError('refusing a member of the base backup', {
      detail: `The symbolic link ${shown(path)} leads out of the data directory, to ${shown(target)}.`,
    });
  if (leaves)
    log.warning('a restored symbolic link leads out of the data directory', {
      detail: `${shown(path)} leads to ${shown(target)}.`,
      hint: 'Check that it is meant for this machine.',
    });
  await makeLink(path, target, restore);
}

async function makeLink(path: string, target: string, { directory, owner }: Unfinished): Promise<void> {
  await makeFolders(directory, posix.dirname(path), owner);
  const absolute = pathBytes(directory, path);
  const destination = bytesOf(target);
  const there = await ifThere(() => lstat(absolute));
  if (there?.isSymbolicLink() && (await readlink(absolute, 'buffer')).equals(destination)) return;
  if (there?.isDirectory())
    throw new DataError('a directory lies where a symbolic link must be', { detail: shown(path) });
  if (there !== undefined) await rm(absolute);
  await symlink(destination, absolute);
  if (owner !== undefined) await lchown(absolute, owner.uid, owner.gid);
  syncFolder(pathBytes(directory, posix.dirname(path)));
}

/** The original left a link to the WAL directory of the source in its archives: the server needs a directory. */
async function makeWalFolder({ directory, links, owner }: Unfinished): Promise<void> {
  for (const { path } of links.filter((link) => WAL_FOLDERS.includes(link.path)))
    await makeFolders(directory, path, owner);
}

/** Every folder on the way must be a real one: a link of the archive may have been made before. */
async function makeFolders(root: string, relative: string, owner: Owner | undefined): Promise<void> {
  let done = '';
  for (const name of relative === '.' ? [] : relative.split('/')) {
    const parent = done;
    done = parent === '' ? name : `${parent}/${name}`;
    const path = pathBytes(root, done);
    const there = await ifThere(() => lstat(path));
    if (there?.isDirectory()) continue;
    if (there?.isSymbolicLink() && WAL_FOLDERS.includes(done)) return;
    if (there !== undefined)
      throw new DataError('refusing to restore through something that is not a directory', {
        detail: shown(done),
      });
    await mkdir(path, { mode: 0o700 });
    await giveTo(path, owner);
    syncFolder(pathBytes(root, parent));
  }
}

/** `relative` is a byte string. */
function pathBytes(root: string, relative: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), bytesOf(relative)]);
}

async function makeTablespaceLink(
  { oid, location, linked, inside }: PlacedTablespace,
  restore: Unfinished,
): Promise<void> {
  const { directory, owner } = restore;
  if (!linked) await makeLink(`pg_tblspc/${oid}`, byteString(location), restore);
  if (owner === undefined) return;
  // The archive has no member for these folders, and whose they must be was not known when they were made.
  if (inside) await giveTo(dirname(location), owner);
  await giveTo(location, owner);
  await lchown(join(directory, 'pg_tblspc', oid), owner.uid, owner.gid);
}

async function rewriteTablespaceMap({ directory, tablespaces, owner, log }: Unfinished): Promise<void> {
  const path = join(directory, 'tablespace_map');
  const there = await ifThere(() => lstat(path));
  if (there === undefined) return;
  if (there.size > MAX_MAP_BYTES)
    throw new DataError('tablespace_map is too long to be one', { detail: path });
  const before = parseTablespaceMap(await readFile(path, 'utf8'));
  const places = new Map(tablespaces.map(({ oid, location }) => [oid, location]));
  for (const [oid, source] of before) {
    if (places.has(oid)) continue;
    log.warning('left a tablespace out of tablespace_map', {
      detail: `The backup holds no files of tablespace ${oid}, which was at "${source}".`,
    });
  }
  const after = new Map(
    [...before.keys()].flatMap((oid) => {
      const location = places.get(oid);
      return location === undefined ? [] : [[oid, location] as const];
    }),
  );
  await replaceFile(path, formatTablespaceMap(after), owner);
}
