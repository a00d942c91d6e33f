/**
 * The S3 store: AWS and its work-alikes. What PostgreSQL waits for (put of bytes, get, head) is a small client of our
 * own on node:http; listing, removing and multipart uploads are the SDK's commands over the same client, loaded when
 * they are needed. How each kind of store behaves is in docs/stores.md.
 */
import type { LookupFunction } from 'node:net';
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { Retry } from '../retrying.ts';
import type { Body, PutOptions, PutResult, Store } from '../store.ts';
import { createAgents } from './agent.ts';
import { createS3Client, type S3Client } from './client.ts';
import type { Readers } from './cold.ts';
import { createCredentials, keyProviders } from './credentials.ts';
import { createDownloads } from './download.ts';
import { S3Error } from './failure.ts';
import { createHabitNotes } from './habit-notes.ts';
import type { MultipartParts } from './multipart.ts';
import { objectInfo, objectPath } from './object.ts';
import { createPuts, type Head, type Puts } from './put.ts';
import { createTransport, type Timeouts } from './transport.ts';

export interface S3StoreParts {
  readonly settings: S3Settings;
  readonly retry: Retry;
  readonly timeouts?: Timeouts;
  readonly lookup?: LookupFunction;
  /** Where it is remembered what the store was seen to do. */
  readonly notesFolder?: string | undefined;
}

const TIMEOUTS: Timeouts = { connectMs: 10_000, idleMs: 30_000 };

export function createS3Store(parts: S3StoreParts): Store {
  const { settings, retry, timeouts = TIMEOUTS, lookup, notesFolder } = parts;
  const { caFile, proxy, identityProxy } = settings;
  const agents = createAgents({ caFile, proxy, connectMs: timeouts.connectMs, lookup });
  const transport = createTransport(agents.agentFor, timeouts);
  const providers = keyProviders({ caFile, proxy: identityProxy });
  const credentials = createCredentials(settings.credentials, providers);
  const client = createS3Client({ settings, transport, credentials, retry });
  const head = createHead(client, settings, retry);
  const notes = createHabitNotes({ folder: notesFolder, settings });
  const puts = createPuts({ client, settings, retry, head, notes });
  const downloads = createDownloads(client, retry);
  const get: Store['get'] = async (key, call) => downloads.get(key, objectPath(settings, key), call);
  const streamed = { client, settings, head, get, etagHabit: {} };
  const operator = async () => {
    const [{ createSdkClient }, { abortUpload, listObjects, listUploads }, { removeObjects }] =
      await Promise.all([import('./sdk.ts'), import('./listing.ts'), import('./removal.ts')]);
    const sdk = createSdkClient(client, settings.bucket);
    return { sdk, abortUpload, listObjects, listUploads, removeObjects };
  };
  return {
    url: settings.prefix === '' ? `s3://${settings.bucket}` : `s3://${settings.bucket}/${settings.prefix}`,
    async put(key, body, options) {
      options.signal.throwIfAborted();
      if (isBytes(body)) return puts.put(key, body, options);
      return putStream(streamed, puts, key, body, options);
    },
    async get(key, call) {
      call.signal.throwIfAborted();
      return get(key, call);
    },
    async head(key, { signal }) {
      signal.throwIfAborted();
      return head(key, signal);
    },
    async *list(prefix, call) {
      const { sdk, listObjects } = await operator();
      yield* listObjects(sdk, settings, prefix, call);
    },
    async remove(keys, call) {
      call.signal.throwIfAborted();
      const { sdk, removeObjects } = await operator();
      return removeObjects(sdk, settings, keys, call);
    },
    cold: createCold({ head, get }),
    async *leftovers(prefix, call) {
      const { sdk, listUploads } = await operator();
      yield* listUploads(sdk, settings, prefix, call);
    },
    async removeLeftover(leftover, call) {
      const { sdk, abortUpload } = await operator();
      await abortUpload(sdk, settings, leftover, call);
    },
    async close() {
      agents.close();
    },
  };
}

function isBytes(body: Body): body is readonly Uint8Array[] {
  return Array.isArray(body);
}

function createCold(readers: Readers): NonNullable<Store['cold']> {
  return async (keys, call) => {
    call.signal.throwIfAborted();
    const { findCold } = await import('./cold.ts');
    return findCold(readers, keys, call);
  };
}

/** The answer to HEAD has no body to explain a failure with: then one byte is asked for, to learn why. */
function createHead(client: S3Client, settings: S3Settings, retry: Retry): Head {
  const ask = async (key: Key, signal: AbortSignal) => {
    const path = objectPath(settings, key);
    try {
      const { headers } = await client.send({ method: 'HEAD', path }, signal);
      return objectInfo(key, headers);
    } catch (error) {
      if (!(error instanceof S3Error) || error.status < 400 || error.code !== undefined) throw error;
    }
    return retry.run(async (limited) => {
      const answer = await client.once({ method: 'GET', path, headers: { range: 'bytes=0-0' } }, limited);
      for await (const _ of answer.body) break;
      return objectInfo(key, answer.headers);
    }, signal);
  };
  return async (key, signal) => {
    try {
      return await ask(key, signal);
    } catch (error) {
      if (error instanceof S3Error && error.absent) return undefined;
      throw error;
    }
  };
}

const PIECE_BYTES = 256 * 1024;

/** What fits in one part is a single put; the first part is read to know. */
async function putStream(
  parts: MultipartParts,
  puts: Puts,
  key: Key,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<PutResult> {
  const { partBytes, putMultipart } = await import('./multipart.ts');
  const { abortableStream } = await import('./abortable-stream.ts');
  const { bytes: source } = abortableStream(pieces(body), options.signal);
  const limit = partBytes(options.expectedBytes);
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const next = await source.next();
    if (next.done === true) return puts.put(key, first, options);
    first.push(next.value);
    length += next.value.byteLength;
  }
  if (options.createOnly && (await mayReplace(parts, puts, key, options.signal))) {
    await source.return(undefined);
    return 'exists';
  }
  return putMultipart(parts, key, rejoined(first, source), options);
}

/** What cannot be seen may be there; only AWS is known to look when the upload is completed. */
async function mayReplace(
  { settings, head }: { settings: S3Settings; head: Head },
  puts: Puts,
  key: Key,
  signal: AbortSignal,
): Promise<boolean> {
  const seen = await puts.presence(key, signal);
  if (seen !== 'hidden' || settings.endpoint === undefined) return seen === 'present';
  return (await head(key, signal)) !== undefined;
}

/**
 * The same bytes in pieces of their own memory, all of one size but the last: parts are put together from several, and
 * memory of one size is used again where odd sizes would leave holes (a third of all that was resident).
 */
async function* pieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let filled = 0;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + PIECE_BYTES - filled);
      piece.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

async function* rejoined(first: Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let chunk = first.shift(); chunk !== undefined; chunk = first.shift()) yield chunk;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
