/**
 * Files under a root as keys, ascending by their bytes. A folder with more names than fit in some 8 MB is read several
 * times; synchronous calls, since a million of them through the thread pool take ten times as long.
 */
import { type Dir, type Dirent, opendirSync, type Stats, statSync } from 'node:fs';
import { byteString, textOf } from '../byte-string.ts';
import { isErrno } from '../errno.ts';
import { StoreError } from '../errors.ts';
import { modifiedOf } from './file-date.ts';
import { fileError } from './file-error.ts';
import { SmallestNames } from './smallest-names.ts';

/** An archive is three folders deep; links can make a circle. */
const MAX_DEPTH = 16;

export interface FileEntry {
  readonly key: string;
  /** Last component of the key. */
  readonly name: string;
  readonly size: number;
  readonly modified: Date;
}

export interface ListOptions {
  /** Names of files that are not wanted are not looked at further. */
  readonly wanted: (name: string) => boolean;
  /** Folders that are not looked into. */
  readonly skip?: ((folder: string) => boolean) | undefined;
}

/** Every regular file whose key starts with `prefix`. A root or folder that is not there holds nothing. */
export function* entriesUnder(root: string, prefix: string, options: ListOptions): Generator<FileEntry> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* entriesIn(root, folder, { ...options, start: prefix.slice(folder.length), depth: 0 });
}

interface FolderOptions extends ListOptions {
  /** What the names begin with. */
  readonly start: string;
  readonly depth: number;
}

function* entriesIn(root: string, folder: string, options: FolderOptions): Generator<FileEntry> {
  if (options.depth > MAX_DEPTH) return;
  for (const name of namesIn(`${root}/${folder}`, options)) {
    if (name.endsWith('/')) {
      if (options.skip?.(folder + name)) continue;
      yield* entriesIn(root, folder + name, { ...options, start: '', depth: options.depth + 1 });
      continue;
    }
    const stat = statIfThere(`${root}/${folder}${name}`);
    if (stat?.isFile()) yield { key: folder + name, name, size: stat.size, modified: modifiedOf(stat) };
  }
}

/** Ascending; folders carry a trailing slash, so that sorting names sorts keys. Names that are not UTF-8 cannot be keys. */
function* namesIn(folder: string, options: FolderOptions): Generator<string> {
  const names = new SmallestNames();
  let after: string | undefined;
  do {
    gather(folder, options, names, after);
    for (const name of names.ascending()) {
      after = name;
      const decoded = decodeName(name);
      if (decoded !== undefined) yield decoded;
    }
  } while (names.isPartial);
}

/**
 * Where the file system does not say what an entry is (NFS in large folders, sshfs, ext4 without `filetype`), Node looks
 * at it by itself: by a wrong name if that is not ASCII, and one that is gone takes along those that were read with it.
 */
function gather(
  folder: string,
  options: FolderOptions,
  names: SmallestNames,
  after: string | undefined,
): void {
  const add = (found: Iterable<string>) => {
    names.restart(after);
    for (const name of found) if (name.endsWith('/') || options.wanted(name)) names.add(name);
  };
  const start = byteString(options.start);
  try {
    add(namesAsStored(folder, start, manyEntries));
  } catch (error) {
    if (!(error instanceof StoreError && isVanished(error.cause))) throw error;
    add(namesAsStored(folder, start, entriesOneByOne));
  }
}

interface NamedEntry {
  /** A byte string, so that the order of names is that of their bytes. */
  readonly name: string;
  readonly entry: Dirent;
}

/** In whatever order. */
function* namesAsStored(
  folder: string,
  start: string,
  read: (folder: string) => Iterable<NamedEntry>,
): Generator<string> {
  try {
    for (const { name, entry } of read(folder))
      if (name.startsWith(start)) yield isFolder(folder, name, entry) ? `${name}/` : name;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR') && !isVanished(error)) return;
    throw isErrno(error) ? fileError('could not list a folder', folder, error) : error;
  }
}

function* manyEntries(folder: string): Generator<NamedEntry> {
  const directory = opendirSync(folder, { encoding: 'latin1' });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync())
      yield { name: entry.name, entry };
  } finally {
    directory.closeSync();
  }
}

/** Of those whose names are UTF-8; what vanishes meanwhile is left out. */
function* entriesOneByOne(folder: string): Generator<NamedEntry> {
  const directory = opendirSync(folder, { bufferSize: 1 });
  try {
    for (let entry = nextEntry(directory); entry !== null; entry = nextEntry(directory))
      if (entry !== undefined) yield { name: byteString(entry.name), entry };
  } finally {
    directory.closeSync();
  }
}

function nextEntry(directory: Dir): Dirent | null | undefined {
  try {
    return directory.readSync();
  } catch (error) {
    if (isVanished(error)) return undefined;
    throw error;
  }
}

/** An entry, not the folder. */
function isVanished(error: unknown): boolean {
  return isErrno(error, 'ENOENT') && error.syscall === 'lstat';
}

/** Operators link a tree (wal_005, say) to another disk: a link to a folder is a folder. */
function isFolder(parent: string, stored: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const name = decodeName(stored);
  return name !== undefined && statIfThere(`${parent}/${name}`)?.isDirectory() === true;
}

function decodeName(name: string): string | undefined {
  if (!/[\u0080-\u00ff]/.test(name)) return name;
  const text = textOf(name);
  return text.includes('\ufffd') ? undefined : text;
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP')) return undefined;
    throw fileError('could not look at a file', path, error);
  }
}
