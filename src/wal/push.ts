/** One WAL file into the archive: never over another content, and with success only when it is durably there. */
import { type Key, walKey } from '../archive/layout.ts';
import { encrypt } from '../crypt/gpg.ts';
import { DataError, isStoreFull, StoreError, UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Body, type FoundObject, type PutResult, type Store, urlOf } from '../store/store.ts';
import { holdsSameContent } from './compare.ts';
import { pathPrefix } from './log-fields.ts';
import { MAX_PACKED_AT_ONCE, packStream, packWalFile } from './pack.ts';
import { packAhead } from './pack-ahead.ts';
import type { WalFile } from './wal-file.ts';

export interface PushContext {
  readonly store: Store;
  readonly log: Log;
  /** Which archive this is, for notes. */
  readonly archive: string;
  /** Objects are encrypted to this key. */
  readonly gpgKeyId: string | undefined;
  readonly signal: AbortSignal;
  /** Waited for before the first file of an archive is stored, where the store can tell. */
  readonly onNewArchive?: () => Promise<void>;
}

/** Resolves when the object is durable. `packed`: the file's lzop form, where somebody made it already. */
export async function pushWalFile(
  file: WalFile,
  context: PushContext,
  packed?: readonly Uint8Array[],
): Promise<void> {
  const { store, log } = context;
  const key = walKey(file.name);
  const url = urlOf(store, key);
  const fields = { action: 'push-wal', key: url, prefix: pathPrefix(store.url), seg: file.name };
  log.info('begin archiving a file', {
    detail: `Uploading "${file.path}" to "${url}".`,
    structured: { ...fields, state: 'begin' },
  });
  const started = Date.now();
  const { body, size } = packed === undefined ? await bodyOf(file, context) : bytesBody(packed);
  const result = await put(key, body, context);
  if (result === 'exists') return acceptExisting(file, context);
  const rate = formatRate(size(), Date.now() - started);
  log.info('completed archiving to a file', {
    detail: `Archiving to "${url}" complete at ${rate}KiB/s.`,
    structured: { ...fields, rate, state: 'complete' },
  });
}

async function put(key: Key, body: Body, { store, signal, onNewArchive }: PushContext): Promise<PutResult> {
  try {
    return await store.put(key, body, {
      createOnly: true,
      contentType: 'application/octet-stream',
      signal,
      onNewFolder: onNewArchive,
    });
  } catch (error) {
    throw isStoreFull(error) ? keptByPostgres(error) : error;
  }
}

/** What whoever sees it in the server's log at night has to know. */
function keptByPostgres(error: StoreError): StoreError {
  const { message, detail, hint = '' } = error;
  const kept = 'Nothing is lost: PostgreSQL keeps its WAL and asks again, as long as pg_wal has room.';
  return new StoreError(message, {
    detail,
    hint: `${hint} ${kept}`.trimStart(),
    transient: false,
    full: true,
    cause: error,
  });
}

interface SizedBody {
  readonly body: Body;
  /** Bytes, known when the body was consumed. */
  readonly size: () => number;
}

async function bodyOf(file: WalFile, context: PushContext): Promise<SizedBody> {
  const { store, gpgKeyId, signal } = context;
  const small = file.size <= MAX_PACKED_AT_ONCE;
  if (gpgKeyId === undefined) {
    return small && store.streams !== true ? bytesBody(packWalFile(file)) : streamBody(packAhead(file));
  }
  const { noteEncrypted } = await import('./encrypted-notes.ts');
  const encrypted = noteEncrypted(encrypt(packStream(file), { keyId: gpgKeyId, signal }), file, context);
  return small ? bytesBody(await collect(encrypted)) : streamBody(encrypted);
}

function bytesBody(chunks: readonly Uint8Array[]): SizedBody {
  return { body: chunks, size: () => chunks.reduce((sum, chunk) => sum + chunk.length, 0) };
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks = [];
  for await (const chunk of source) chunks.push(chunk);
  return chunks;
}

function streamBody(source: AsyncIterable<Uint8Array>): SizedBody {
  let size = 0;
  const counted = async function* () {
    for await (const chunk of source) {
      size += chunk.length;
      yield chunk;
    }
  };
  return { body: counted(), size: () => size };
}

/** PostgreSQL asks again after a crash between our success and its note of it: the same content is a success. */
async function acceptExisting(file: WalFile, context: PushContext): Promise<void> {
  const { store, log } = context;
  const key = walKey(file.name);
  const url = urlOf(store, key);
  if (!(await isSame(file, url, context))) {
    throw new DataError('the archive holds another content under this name', {
      detail: `The content of "${url}" is not that of "${file.path}". Nothing was changed.`,
      hint: 'Do two servers archive to one prefix, or was this one restored and promoted without a new timeline? Give each server its own prefix.',
    });
  }
  log.info('the file was archived before', {
    detail: `The content of "${url}" is that of "${file.path}".`,
    structured: {
      action: 'push-wal',
      key: url,
      prefix: pathPrefix(store.url),
      seg: file.name,
      state: 'complete',
    },
  });
}

async function isSame(file: WalFile, url: string, context: PushContext): Promise<boolean> {
  const { archive, gpgKeyId, signal } = context;
  try {
    if (gpgKeyId !== undefined) {
      const { isOwnObject } = await import('./encrypted-notes.ts');
      if (await isOwnObject(file, archive, () => existing(file, context))) return true;
    }
    return await holdsSameContent(await existing(file, context), file, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof UserError)) throw error;
    throw new UserError('the archive holds an object of this name that cannot be compared', {
      detail: `"${url}" is there, and reading it failed: ${[error.message, error.detail].filter(Boolean).join(': ')}. Nothing was changed.`,
      hint:
        error.hint ??
        `Look at the object; if it is worthless, remove it, and the next attempt stores "${file.path}".`,
      cause: error,
    });
  }
}

async function existing(file: WalFile, { store, signal }: PushContext): Promise<FoundObject> {
  const object = await store.get(walKey(file.name), { signal });
  if (object !== undefined) return object;
  throw new UserError('it disappeared while it was compared', { hint: 'The next attempt stores it.' });
}

/** Compressed KiB per second in the original's form, printf's %g. */
function formatRate(bytes: number, elapsedMs: number): string {
  const rate = bytes / 1024 / Math.max(elapsedMs / 1000, 0.001);
  const exponent = Math.floor(Math.log10(Math.max(rate, 1)));
  if (exponent < 6) return String(Number(rate.toPrecision(6)));
  return `${Number((rate / 10 ** exponent).toPrecision(6))}e+${String(exponent).padStart(2, '0')}`;
}
