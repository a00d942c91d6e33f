/** One WAL file out of the archive: decrypted, decompressed, checked, on disk. */
import { rmSync } from 'node:fs';
import { walKey } from '../archive/layout.ts';
import { LzopDecoder } from '../codec/decoder.ts';
import { decryptIfEncrypted } from '../crypt/gpg.ts';
import { errnoText } from '../errno.ts';
import { DataError, StoreError, UserError } from '../errors.ts';
import { checkOwnSystem } from '../postgres/own-system.ts';
import { MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, walFileKind } from '../postgres/segment.ts';
import { checkText, checkWalContent, MAX_TEXT_BYTES } from '../postgres/wal-content.ts';
import { checkSegment, readWalPage, SEGMENT_HEAD_BYTES } from '../postgres/wal-page.ts';
import { type FoundObject, type Store, urlOf } from '../store/store.ts';
import { SyncedFile } from './synced-file.ts';

export interface Source {
  readonly store: Store;
  readonly signal: AbortSignal;
  /** The cluster that the file is for, where that is known. */
  readonly dataDirectory?: string | undefined;
  /** Called whenever something arrived. */
  readonly progress?: () => void;
}

/** The store asks again by itself; this is for what only shows while the content is read. */
const ATTEMPTS = 3;

/**
 * Writes the file `name` to `path`; when this resolves, it is whole, checked and synced. Returns
 * its size in bytes; undefined: the archive does not have it. Leaves nothing at `path` when it failed.
 */
export async function download(name: string, path: string, source: Source): Promise<number | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const object = await source.store.get(walKey(name), { signal: source.signal, oneAtATime: true });
      if (object === undefined) return undefined;
      return await write(object, name, path, source);
    } catch (error) {
      source.signal.throwIfAborted();
      if (attempt === ATTEMPTS || !canHelpToAskAgain(error)) throw named(error, name, source);
    }
  }
}

/** Of what is wrong with an object: which it is, and what there is to do at night. */
function named(error: unknown, name: string, { store }: Source): unknown {
  if (!(error instanceof DataError)) return error;
  const { message, detail, hint } = error;
  return new DataError(message, {
    detail: [urlOf(store, walKey(name)), detail].filter(Boolean).join(': '),
    hint:
      hint ??
      'Put a sound copy in its place, or move it out of the archive, and recovery ends before it (docs/troubleshooting.md, "WAL").',
    cause: error,
  });
}

/** Damage may have happened on the way as well as in the archive. */
function canHelpToAskAgain(error: unknown): boolean {
  return error instanceof DataError || (error instanceof StoreError && error.transient);
}

async function write(object: FoundObject, name: string, path: string, source: Source): Promise<number> {
  const file = await open(path, object);
  try {
    const { size, head } = await decodeInto(file, name, object, source);
    checkWalContent(name, size, head);
    await file.finish();
    return size;
  } catch (error) {
    rmSync(path, { force: true });
    throw writeError(error, path);
  } finally {
    await file.close();
  }
}

async function decodeInto(file: SyncedFile, name: string, object: FoundObject, source: Source) {
  const decoder = new LzopDecoder();
  let size = 0;
  let most = 0;
  let head: Uint8Array = new Uint8Array();
  for await (const chunk of decryptIfEncrypted(object.body, { signal: source.signal })) {
    source.progress?.();
    for (const plain of decoder.pushViews(chunk)) {
      if (size === 0) {
        head = plain.slice(0, SEGMENT_HEAD_BYTES);
        most = checkStart(name, plain, source.dataDirectory);
      }
      size += plain.length;
      if (size > most) throw tooLong(name, most);
      // The view is valid only until the codec is used again.
      file.write(plain);
    }
  }
  decoder.end();
  return { size, head };
}

/**
 * What an object begins with tells whether it is the file, and how many bytes it may have at most: a few kilobytes of
 * lzop can fill any disk. Throws DataError.
 */
function checkStart(name: string, start: Uint8Array, dataDirectory: string | undefined): number {
  const kind = walFileKind(name);
  if (kind === 'history' || kind === 'backup') {
    checkText(name, start.length, start);
    return MAX_TEXT_BYTES;
  }
  if (kind === 'other') return MAX_SEGMENT_BYTES;
  const bytes = readWalPage(start)?.segmentBytes ?? MIN_SEGMENT_BYTES;
  checkSegment(name, bytes, start);
  if (dataDirectory !== undefined) checkOwnSystem(name, start, dataDirectory);
  return bytes;
}

function tooLong(name: string, most: number): DataError {
  return new DataError(`the object is longer than ${name} can be`, {
    detail: `It has more than ${most} bytes.`,
  });
}

async function open(path: string, { body }: FoundObject): Promise<SyncedFile> {
  try {
    return new SyncedFile(path);
  } catch (error) {
    await letGo(body).catch(() => undefined);
    throw writeError(error, path);
  }
}

/** A file or a connection waits to be read: a reading that was not begun cannot be ended. */
async function letGo(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body) return;
}

function writeError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  return new UserError('could not write the fetched file', {
    detail: `Writing "${path}" failed: ${errnoText(error)}`,
    cause: error,
  });
}
