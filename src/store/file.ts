/**
 * The file store: objects are files under one directory, `file://localhost/abs/path`. A put writes a temporary file
 * in the object's own folder, syncs it, and links (create-only, atomic) or renames it to its name, then syncs the
 * folder: a crash at any point leaves nothing or the whole object, and perhaps a temporary file that `leftovers` finds.
 */
import { constants, type Stats } from 'node:fs';
import { listedKey } from '../archive/layout.ts';
import { isErrno } from '../errno.ts';
import { StoreError, UserError } from '../errors.ts';
import { confirmAbsence } from './file-absence.ts';
import { readBody } from './file-body.ts';
import { modifiedOf } from './file-date.ts';
import { fileError } from './file-error.ts';
import { makeFolders, openFolders, removeEmptyFolders, syncFolders } from './file-folders.ts';
import { entriesUnder, type FileEntry, type ListOptions } from './file-list.ts';
import { putError } from './file-put-error.ts';
import { removeFiles } from './file-removal.ts';
import * as fs from './file-system.ts';
import type { Body, FoundObject, GetOptions, ObjectInfo, PutOptions, PutResult, Store } from './store.ts';

const PAGE_KEYS = 1000;
const TEMPORARY = /^\.(.+)\.[0-9a-f]{16}\.tmp$/;

/** `root` is an absolute directory; it is made by the first put if need be. */
export function createFileStore(root: string): Store {
  const base = root.replace(/\/+$/, '');
  const pathOf = (key: string) => `${base}/${safeKey(key)}`;
  return {
    url: `file://localhost${base}`,
    streams: true,
    put: async (key, body, options) => put(pathOf(key), body, options),
    async get(key, options) {
      options.signal.throwIfAborted();
      return found(key, pathOf(key), base, options);
    },
    async head(key, { signal }) {
      signal.throwIfAborted();
      const path = pathOf(key);
      let stat = await statIfThere(path);
      if (stat === undefined) {
        await openFolders(base, key);
        stat = await statIfThere(path);
      }
      if (stat === undefined || !stat.isFile()) return undefined;
      return { key, size: stat.size, modified: modifiedOf(stat) };
    },
    async *list(prefix, { signal, skip }) {
      const wanted = (name: string) => !TEMPORARY.test(name);
      for await (const page of pages(base, prefix, { wanted, skip }, signal))
        yield page.map(({ key, ...rest }) => object(key, rest));
    },
    async remove(keys, { signal }) {
      signal.throwIfAborted();
      return removeFiles(base, keys, pathOf);
    },
    async *leftovers(prefix, { signal }) {
      const wanted = (name: string) => TEMPORARY.test(name);
      for await (const page of pages(base, prefix, { wanted }, signal)) {
        const temporary = page.flatMap((entry) => {
          const name = TEMPORARY.exec(entry.name)?.[1];
          const folder = entry.key.slice(0, entry.key.length - entry.name.length);
          return name === undefined ? [] : [{ key: folder + name, started: entry.modified, id: entry.key }];
        });
        if (temporary.length > 0) yield temporary;
      }
    },
    async removeLeftover({ id }, { signal }) {
      signal.throwIfAborted();
      if (!TEMPORARY.test(id.slice(id.lastIndexOf('/') + 1)))
        throw new UserError(`not a temporary file: ${id}`);
      await fs.removeFile(pathOf(id));
      await removeEmptyFolders(base, [id]);
    },
    async close() {},
  };
}

function object(key: string, { size, modified }: { size: number; modified: Date }): ObjectInfo {
  return { key: listedKey(key), size, modified };
}

/** Keys come from our own layout or from a listing; a key that would leave the root is a bug or an attack. */
function safeKey(key: string): string {
  const parts = key.split('/');
  if (key.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new UserError('refusing a key that does not name a file under the storage prefix', {
      detail: JSON.stringify(key),
    });
  }
  return key;
}

async function put(
  path: string,
  body: Body,
  { createOnly, signal, onNewFolder }: PutOptions,
): Promise<PutResult> {
  signal.throwIfAborted();
  const slash = path.lastIndexOf('/');
  const folder = path.slice(0, slash);
  const temporary = `${folder}/.${path.slice(slash + 1)}.${randomHex()}${randomHex()}.tmp`;
  try {
    const handle = await createIn(folder, temporary, onNewFolder);
    try {
      await write(handle, body, signal);
      await handle.sync();
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
    // Network file systems may tell only now that something was not stored.
    await handle.close();
    signal.throwIfAborted();
    if (createOnly) {
      await fs.link(temporary, path);
      await Promise.all([fs.unlink(temporary), syncFolders(folder)]);
    } else {
      await fs.rename(temporary, path);
      await syncFolders(folder);
    }
    return 'stored';
  } catch (error) {
    await fs.removeFile(temporary).catch(() => undefined);
    if (isErrno(error, 'EEXIST') && error.syscall === 'link') return existing(folder, path);
    if (signal.aborted) throw signal.reason;
    if (isErrno(error, 'EPERM') && error.syscall === 'link' && (await isTaken(path)))
      return existing(folder, path);
    throw putError(path, error);
  }
}

/**
 * The writer of the object that is there may have died, or not yet come, between the link and the sync; another tool may
 * not have synced it at all.
 */
async function existing(folder: string, path: string): Promise<PutResult> {
  await syncFile(path);
  try {
    await syncFolders(folder);
    return 'exists';
  } catch (error) {
    throw fileError('could not sync a folder', folder, error);
  }
}

/** SFTP has one word for every failure, which sshfs gives back as EPERM: also where another writer came first. */
async function isTaken(path: string): Promise<boolean> {
  return (await statIfThere(path).catch(() => undefined)) !== undefined;
}

/** What cannot be read cannot be compared either: that is for the reader to say. */
async function syncFile(path: string): Promise<void> {
  const handle = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  if (handle === undefined) return;
  try {
    await handle.sync();
  } catch (error) {
    throw fileError('could not sync a file', path, error);
  } finally {
    await handle.close().catch(() => undefined);
  }
}

/** Not for secrets: two writers of one name must not choose the same, and creating the file would tell. */
function randomHex(): string {
  return Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}

/** A delete running beside us may remove the empty folder between mkdir and open: make it again. */
async function createIn(
  folder: string,
  path: string,
  onNewFolder: PutOptions['onNewFolder'],
): Promise<fs.OpenFile> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fs.open(path, 'wx');
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || attempt === 10) throw error;
      await onNewFolder?.();
      await makeFolders(folder);
    }
  }
}

async function write(handle: fs.OpenFile, body: Body, signal: AbortSignal): Promise<void> {
  if (Array.isArray(body)) return writeAll(handle, body);
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    signal.throwIfAborted();
    await writeAll(handle, [chunk]);
    handle.syncEarly(chunk.byteLength);
  }
}

/** writev may write less than it was given (a nearly full disk, a signal). */
async function writeAll(handle: fs.OpenFile, chunks: readonly Uint8Array[]): Promise<void> {
  const rest = chunks.filter((chunk) => chunk.byteLength > 0);
  while (rest.length > 0) {
    let bytesWritten = await handle.writev(rest.slice(0, 512));
    while (bytesWritten > 0) {
      const [head] = rest;
      if (head === undefined) break;
      if (bytesWritten < head.byteLength) {
        rest[0] = head.subarray(bytesWritten);
        break;
      }
      bytesWritten -= head.byteLength;
      rest.shift();
    }
  }
}

async function found(
  key: ObjectInfo['key'],
  path: string,
  base: string,
  options: GetOptions,
): Promise<FoundObject | undefined> {
  let handle = await openIfThere(path);
  if (handle === undefined) {
    await openFolders(base, key);
    await confirmAbsence(base, key);
    handle = await openIfThere(path);
    if (handle === undefined) return undefined;
  }
  const stat = await statOrClose(handle, path);
  if (!stat.isFile()) {
    await handle.close();
    throw new StoreError('what is in the place of an object is no file', {
      detail: `The path is "${path}".`,
      transient: false,
    });
  }
  return {
    key,
    size: stat.size,
    modified: modifiedOf(stat),
    body: readBody(handle, path, stat.size, options),
  };
}

async function statOrClose(handle: fs.OpenFile, path: string): Promise<Stats> {
  try {
    return await handle.stat();
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw fileError('could not look at a file', path, error);
  }
}

async function openIfThere(path: string): Promise<fs.OpenFile | undefined> {
  try {
    return await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw fileError('could not open a file', path, error);
  }
}

/** Also where the prefix itself is not there: the first put makes it, and whoever is about to put asks this before. */
async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await fs.stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw fileError('could not look at a file', path, error);
  }
}

async function* pages(
  base: string,
  prefix: string,
  options: ListOptions,
  signal: AbortSignal,
): AsyncGenerator<FileEntry[]> {
  let page: FileEntry[] = [];
  await openFolders(base, prefix);
  for (const entry of entriesUnder(base, prefix, options)) {
    page.push(entry);
    if (page.length < PAGE_KEYS) continue;
    // The listing is synchronous: let signals in, and whatever else waits.
    await fs.untilAnswered(base);
    signal.throwIfAborted();
    yield page;
    page = [];
  }
  signal.throwIfAborted();
  if (page.length > 0) yield page;
}
