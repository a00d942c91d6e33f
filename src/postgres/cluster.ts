/**
 * Walks a data directory that a server may be changing, and yields what belongs in a base backup: folders before what
 * is in them, the root first. What vanishes meanwhile is left out; any other trouble is an error. Memory is bounded by
 * the longest list of sub-folders, not by the number of files.
 *
 * Names are byte strings (byte-string.ts).
 */
import { promises as fs, type PathLike, type Stats } from 'node:fs';
import { byteString, bytesOf, textOf } from '../byte-string.ts';
import { UserError } from '../errors.ts';
import { isEmptied, isLeftOut } from './cluster-contents.ts';
import { folderNames } from './folder-names.ts';
import { isDatabaseFolder, relationFile } from './relation-file.ts';
import { type ClusterTablespace, isTablespaceLink, tablespaceOf } from './tablespaces.ts';
import type { Version } from './version.ts';

export interface ClusterEntry {
  readonly kind: 'directory' | 'file';
  /** Relative to the data directory, no slash at the end; empty for the data directory itself. Byte string. */
  readonly name: string;
  /** Absolute path. Byte string. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  /** Bytes when it was seen; 0 for directories. */
  readonly size: number;
}

/** Something that a base backup cannot hold as it is. */
export interface Oddity {
  readonly kind: 'dangling link' | 'special file' | 'folder behind a link';
  /** Relative to the data directory. */
  readonly name: string;
}

export interface ClusterWalk {
  readonly dataDirectory: string;
  readonly version: Version;
  readonly tablespaces: readonly ClusterTablespace[];
  readonly withConfig: boolean;
  readonly signal: AbortSignal;
  readonly odd: (oddity: Oddity) => void;
}

/** Batches of entries, in an order that the file system decides. */
export async function* walkCluster(walk: ClusterWalk): AsyncGenerator<readonly ClusterEntry[]> {
  const root = byteString(walk.dataDirectory);
  const stat = await fs.stat(bytesOf(root));
  const mounted = await Promise.all(walk.tablespaces.map(({ location }) => present(identity(location))));
  const spaces = new Set(mounted.flatMap((found) => found ?? []));
  yield [entry('', root, stat)];
  yield* contents({ name: '', path: root, chain: [await identity(bytesOf(root))] }, { ...walk, spaces });
}

interface Walk extends ClusterWalk {
  /** Identities of the folders that the links of tablespaces lead to. */
  readonly spaces: ReadonlySet<string>;
}

/** A folder on the way; `chain` identifies it and those above it, so that links cannot lead in circles. */
interface Folder {
  readonly name: string;
  readonly path: string;
  readonly chain: readonly string[];
}

async function* contents(folder: Folder, walk: Walk): AsyncGenerator<readonly ClusterEntry[]> {
  if (isEmptied(folder.name)) return;
  const unlogged = isDatabaseFolder(folder.name) ? await unloggedNodes(folder.path) : undefined;
  const folders: Folder[] = [];
  for await (const names of batches(folder.path)) {
    walk.signal.throwIfAborted();
    const wanted = names.filter((name) => isWanted(folder, name, unlogged, walk));
    const found = await Promise.all(wanted.map((name) => look(folder, name, walk)));
    const entries = found.flatMap((item) => item?.entry ?? []);
    for (const item of found) if (item?.folder !== undefined) folders.push(item.folder);
    if (entries.length > 0) yield entries;
  }
  for (const next of folders) yield* contents(next, walk);
}

function isWanted(
  folder: Folder,
  name: string,
  unlogged: ReadonlySet<string> | undefined,
  walk: ClusterWalk,
): boolean {
  if (isLeftOut(joined(folder.name, name), walk.withConfig)) return false;
  // A tablespace's folder may serve several major versions; only one of its folders is this cluster's.
  const tablespace = tablespaceOf(walk.tablespaces, folder.name);
  if (tablespace !== undefined) return name === `PG_${walk.version.name}_${walk.version.catalogVersion}`;
  const file = unlogged === undefined ? undefined : relationFile(name);
  if (file === undefined) return true;
  return !file.temporary && (file.fork === 'init' || !unlogged?.has(file.node));
}

/** Relations with an init fork: PostgreSQL makes all their other forks anew from it. */
async function unloggedNodes(path: string): Promise<ReadonlySet<string>> {
  const nodes = new Set<string>();
  for await (const names of batches(path)) {
    for (const name of names) {
      const file = relationFile(name);
      if (file?.fork === 'init') nodes.add(file.node);
    }
  }
  return nodes;
}

interface Found {
  readonly entry?: ClusterEntry;
  readonly folder?: Folder;
}

async function look(folder: Folder, base: string, walk: Walk): Promise<Found | undefined> {
  const name = joined(folder.name, base);
  const path = `${folder.path}/${base}`;
  const link = await present(fs.lstat(bytesOf(path)));
  if (link === undefined) return undefined;
  const stat = link.isSymbolicLink() ? await present(fs.stat(bytesOf(path))) : link;
  if (stat === undefined) return void walk.odd({ kind: 'dangling link', name: textOf(name) });
  if (stat.isFile()) return { entry: entry(name, path, stat) };
  if (!stat.isDirectory()) return void walk.odd({ kind: 'special file', name: textOf(name) });
  const self = await present(identity(bytesOf(path)));
  if (self === undefined) return undefined;
  // A tablespace inside of the data directory comes by its link; readers refuse an archive that holds a file twice.
  if (!link.isSymbolicLink() && walk.spaces.has(self)) return undefined;
  const next = { name, path, chain: [...folder.chain, self] };
  // Readers make the links of tablespaces before they unpack; a member for a folder in the link's place would clash.
  if (link.isSymbolicLink() && tablespaceOf(walk.tablespaces, name) !== undefined) return { folder: next };
  // Created since the backup began: WAL makes it anew, and cannot where a folder lies in the link's place.
  if (link.isSymbolicLink() && isTablespaceLink(name)) return undefined;
  if (link.isSymbolicLink() && !isEmptied(name)) followed(folder, name, self, walk);
  return { entry: entry(name, path, stat), folder: next };
}

function followed(folder: Folder, name: string, self: string, walk: ClusterWalk): void {
  if (folder.chain.includes(self)) {
    throw new UserError('a symbolic link in the data directory leads back to a folder above it', {
      detail: `The link is "${textOf(name)}".`,
      hint: 'Remove the link: PostgreSQL made no such thing.',
    });
  }
  walk.odd({ kind: 'folder behind a link', name: textOf(name) });
}

/** Ends early when the folder vanishes while it is read. */
async function* batches(path: string): AsyncGenerator<string[]> {
  const names = folderNames(bytesOf(path));
  try {
    for (;;) {
      const batch = await present(names.next(), path);
      if (batch === undefined || batch.done === true) break;
      yield batch.value;
    }
  } finally {
    await names.return(undefined);
  }
}

/** undefined when it vanished: the server drops files and databases while we look. `path` where Node does not name it. */
async function present<T>(found: Promise<T>, path?: string): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    const { code, message, path: told } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new UserError('could not read the data directory', {
      detail: told === undefined && path !== undefined ? `${message} "${textOf(path)}"` : message,
      hint: code === 'EACCES' ? 'Run as the user who owns the data directory.' : undefined,
      cause: error,
    });
  }
}

function entry(name: string, path: string, stat: Stats): ClusterEntry {
  const { mode, uid, gid, mtimeMs } = stat;
  const kind = stat.isDirectory() ? 'directory' : 'file';
  return { kind, name, path, mode: mode & 0o7777, uid, gid, mtimeMs, size: kind === 'file' ? stat.size : 0 };
}

/** Of a folder, also through a link. Numbers of inodes may have 64 bits: rounded, neighbours would be the same. */
async function identity(path: PathLike): Promise<string> {
  const { dev, ino } = await fs.stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
