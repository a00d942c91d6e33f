/**
 * Reading an object: when the connection breaks, the rest is asked for from where it broke off, never the whole again,
 * and only if it still is the same object. Length and checksum are compared at the end.
 */
import { crc32 } from 'node:zlib';
import type { Key } from '../../archive/layout.ts';
import type { Retry } from '../retrying.ts';
import type { Call, FoundObject } from '../store.ts';
import type { S3Client } from './client.ts';
import { S3Error } from './failure.ts';
import { CHECKSUM_HEADER, checksumText, objectInfo } from './object.ts';
import type { WireAnswer } from './transport.ts';

export interface Downloads {
  /** `path` is the object's in the bucket, encoded. */
  get(key: Key, path: string, call: Call): Promise<FoundObject | undefined>;
}

/** An answer whose first bytes have arrived. */
interface Opened {
  readonly headers: Readonly<Record<string, string>>;
  readonly first: IteratorResult<Uint8Array>;
  readonly rest: AsyncIterator<Uint8Array>;
}

/** So much of an object at once is progress, after which a break is the first again. */
const PROGRESS_BYTES = 64 * 1024;

export function createDownloads(client: S3Client, retry: Retry): Downloads {
  async function* body(original: Original, start: Opened, signal: AbortSignal) {
    const { path, headers, size } = original;
    let opened = start;
    let crc = 0;
    let received = 0;
    for (let breaks = 1; ; breaks += 1) {
      const before = received;
      let error: unknown;
      try {
        for await (const chunk of remaining(opened)) {
          received += chunk.byteLength;
          if (received > size) throw wrongLength(path, size);
          crc = crc32(chunk, crc);
          yield chunk;
        }
        if (received === size) return compareChecksum(path, headers, crc);
        error = endedEarly(original, received);
      } catch (caught) {
        error = caught;
      }
      if (!(error instanceof S3Error && error.transient) || received === size) throw error;
      if (received - before >= PROGRESS_BYTES) breaks = 1;
      const failed = { error, number: breaks };
      const next = await retry.run((limited) => reopen(client, original, received, limited), signal, failed);
      if (next === undefined) throw changed(path);
      opened = next;
    }
  }

  return {
    async get(key, path, { signal }) {
      try {
        const opened = await retry.run((limited) => openWhole(client, path, limited), signal);
        const info = objectInfo(key, opened.headers);
        return { ...info, body: body({ path, headers: opened.headers, size: info.size }, opened, signal) };
      } catch (error) {
        if (error instanceof S3Error && error.absent) return undefined;
        throw error;
      }
    },
  };
}

/** An object as its first answer described it. */
interface Original {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes. */
  readonly size: number;
}

async function openWhole(client: S3Client, path: string, signal: AbortSignal): Promise<Opened> {
  const headers = { 'x-amz-checksum-mode': 'ENABLED' };
  const answer = await client.once({ method: 'GET', path, headers }, signal);
  if (answer.status !== 200) await abandon(answer, notTheWhole(path, answer.status));
  return opening(answer);
}

/** The rest of the same object, from byte `received` on; undefined when the object is not the same any more. */
async function reopen(
  client: S3Client,
  original: Original,
  received: number,
  signal: AbortSignal,
): Promise<Opened | undefined> {
  const { path, headers, size } = original;
  const range = `bytes=${received}-${size - 1}`;
  let answer: WireAnswer;
  try {
    answer = await client.once({ method: 'GET', path, headers: { ...sameObject(headers), range } }, signal);
  } catch (error) {
    if (error instanceof S3Error && (error.absent || error.status === 412 || error.status === 416))
      return undefined;
    throw error;
  }
  if (answer.status !== 206) return abandon(answer, rangeIgnored(path));
  const same = ['etag', 'last-modified'].every((name) => answer.headers[name] === headers[name]);
  if (!same || answer.headers['content-range'] !== `bytes ${received}-${size - 1}/${size}`) {
    return abandon(answer, undefined);
  }
  const opened = await opening(answer);
  if (opened.first.done === true) throw endedEarly(original, received);
  return opened;
}

/** A weak ETag never fulfils If-Match; it, and the time, are compared with those of the answer in any case. */
function sameObject({ etag = '' }: Readonly<Record<string, string>>): Record<string, string> {
  return /^"[^"]+"$/.test(etag) ? { 'if-match': etag } : {};
}

async function opening(answer: WireAnswer): Promise<Opened> {
  const rest = answer.body[Symbol.asyncIterator]();
  return { headers: answer.headers, first: await rest.next(), rest };
}

/** Closes the connection: nobody will read what comes on it. */
async function abandon(answer: WireAnswer, error: S3Error | undefined): Promise<undefined> {
  for await (const _ of answer.body) break;
  if (error !== undefined) throw error;
  return undefined;
}

async function* remaining({ first, rest }: Opened): AsyncGenerator<Uint8Array> {
  let done = false;
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
    done = true;
  } finally {
    if (!done) await rest.return?.();
  }
}

/** Checksums of checksums of parts (`…-3`, COMPOSITE) say nothing of the whole. */
function compareChecksum(path: string, headers: Readonly<Record<string, string>>, crc: number): void {
  const isWhole = headers['x-amz-checksum-type'] !== 'COMPOSITE';
  const stored = (isWhole ? headers['x-amz-checksum-crc32'] : undefined) ?? headers[CHECKSUM_HEADER];
  if (stored === undefined || !/^[A-Za-z0-9+/]{6}==$/.test(stored) || stored === checksumText(crc)) return;
  throw new S3Error('an object was altered on its way from the store, or in it', {
    status: 0,
    detail: `"${decodeURIComponent(path)}" has the checksum ${checksumText(crc)}, not ${stored} as when it was stored.`,
    hint: 'Try again; if it fails again, the object in the store is damaged.',
    transient: true,
  });
}

function changed(path: string): S3Error {
  return new S3Error('an object changed while it was read', {
    status: 0,
    detail: `"${decodeURIComponent(path)}" is not what it was when reading began.`,
    transient: true,
  });
}

function notTheWhole(path: string, status: number): S3Error {
  return new S3Error('the store does not send the whole object', {
    status: 0,
    detail: `"${decodeURIComponent(path)}" was asked for, and the answer has status ${status}.`,
    hint: 'Check what is between here and the store: a cache or a proxy may answer with parts.',
    transient: false,
  });
}

function endedEarly({ path, size }: Original, received: number): S3Error {
  return new S3Error('the connection to the store broke', {
    status: 0,
    detail: `GET "${decodeURIComponent(path)}": the answer ended after ${received} of ${size} bytes.`,
    transient: true,
  });
}

function rangeIgnored(path: string): S3Error {
  return new S3Error('the store cannot go on with an object from where the connection broke', {
    status: 0,
    detail: `"${decodeURIComponent(path)}" was asked for with a Range, and the answer ignored it.`,
    transient: false,
  });
}

function wrongLength(path: string, size: number): S3Error {
  return new S3Error('the store sent more than the object has', {
    status: 0,
    detail: `"${decodeURIComponent(path)}" has ${size} bytes.`,
    transient: false,
  });
}
