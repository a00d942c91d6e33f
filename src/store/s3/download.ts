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

type Open = (path: string, headers: Record<string, string>, signal: AbortSignal) => Promise<Opened>;

export function createDownloads(client: S3Client, retry: Retry): Downloads {
  const open: Open = (path, headers, signal) =>
    retry.run(async (limited): Promise<Opened> => {
      const answer = await client.once({ method: 'GET', path, headers }, limited);
      if (headers.range !== undefined && answer.status !== 206) throw rangeIgnored(path);
      const rest = answer.body[Symbol.asyncIterator]();
      return { headers: answer.headers, first: await rest.next(), rest };
    }, signal);

  async function* body(path: string, start: Opened, size: number, signal: AbortSignal) {
    const { headers } = start;
    let opened = start;
    let crc = 0;
    let received = 0;
    for (;;) {
      try {
        for await (const chunk of remaining(opened)) {
          received += chunk.byteLength;
          if (received > size) throw wrongLength(path, size);
          crc = crc32(chunk, crc);
          yield chunk;
        }
        if (received === size) break;
      } catch (error) {
        if (!(error instanceof S3Error && error.transient) || received === size) throw error;
      }
      opened = await reopen(open, { path, headers, size }, received, signal);
    }
    compareChecksum(path, headers, crc);
  }

  return {
    async get(key, path, { signal }) {
      let opened: Opened;
      try {
        opened = await open(path, { 'x-amz-checksum-mode': 'ENABLED' }, signal);
      } catch (error) {
        if (error instanceof S3Error && error.absent) return undefined;
        throw error;
      }
      const info = objectInfo(key, opened.headers);
      return { ...info, body: body(path, opened, info.size, signal) };
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

/** The rest of the same object, from byte `received` on; an error when the object is not the same any more. */
async function reopen(
  open: Open,
  { path, headers, size }: Original,
  received: number,
  signal: AbortSignal,
): Promise<Opened> {
  const etag = headers.etag ?? '';
  const condition: Record<string, string> = etag === '' || etag === '""' ? {} : { 'if-match': etag };
  try {
    const opened = await open(path, { ...condition, range: `bytes=${received}-${size - 1}` }, signal);
    const same = ['etag', 'last-modified'].every((name) => opened.headers[name] === headers[name]);
    if (same && opened.headers['content-range'] === `bytes ${received}-${size - 1}/${size}`) return opened;
    await opened.rest.return?.();
  } catch (error) {
    if (!(error instanceof S3Error && (error.absent || error.status === 412 || error.status === 416)))
      throw error;
  }
  throw changed(path);
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
