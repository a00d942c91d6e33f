/**
 * Files under a root as keys, ascending by their bytes. One folder's names are held at a time (about 60 bytes each);
 * synchronous calls, since a million of them through the thread pool take ten times as long.
 */
import { type Dirent, opendirSync, type Stats, statSync } from 'node:fs';
import { fileError, isErrno } from './file-error.ts';

/** An archive is three folders deep; links can make a circle. */
const MAX_DEPTH = 16;

export interface FileEntry {
  readonly key: string;
  /** Last component of the key. */
  readonly name: string;
  readonly size: number;
  readonly modified: Date;
}

/** Every regular file whose key starts with `prefix`. A root or folder that is not there holds nothing. */
export function* entriesUnder(root: string, prefix: string): Generator<FileEntry> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* entriesIn(root, folder, prefix.slice(folder.length));
}

function* entriesIn(root: string, folder: string, start: string, depth = 0): Generator<FileEntry> {
  if (depth > MAX_DEPTH) return;
  for (const name of sortedNames(`${root}/${folder}`)) {
    if (!name.startsWith(start)) continue;
    if (name.endsWith('/')) {
      yield* entriesIn(root, folder + name, '', depth + 1);
      continue;
    }
    const stat = statIfThere(`${root}/${folder}${name}`);
    if (stat?.isFile()) yield { key: folder + name, name, size: stat.size, modified: stat.mtime };
  }
}

/** Folders carry a trailing slash, so that sorting names sorts keys. Names that are not UTF-8 cannot be keys. */
function sortedNames(folder: string): string[] {
  const names: string[] = [];
  try {
    // 'latin1' keeps each byte as one character, so the order of the strings is that of the bytes.
    const directory = opendirSync(folder, { encoding: 'latin1', bufferSize: 512 });
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        names.push(isFolder(folder, entry) ? `${entry.name}/` : entry.name);
      }
    } finally {
      directory.closeSync();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw fileError('could not list a folder', folder, error);
  }
  return names
    .sort()
    .map(decodeName)
    .filter((name) => name !== undefined);
}

/** Operators link a tree (wal_005, say) to another disk: a link to a folder is a folder. */
function isFolder(parent: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const name = decodeName(entry.name);
  return name !== undefined && statIfThere(`${parent}/${name}`)?.isDirectory() === true;
}

function decodeName(name: string): string | undefined {
  if (!/[\u0080-\u00ff]/.test(name)) return name;
  const text = Buffer.from(name, 'latin1').toString('utf8');
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
