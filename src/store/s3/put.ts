/**
 * Single puts of bytes. Create-only is `If-None-Match: *`, one request, where the store is known to honour it. A store
 * that refuses the header (501, 400), or of which nothing is known and which may ignore it, is asked with a HEAD first.
 */
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { ObjectInfo, PutOptions, PutResult } from '../store.ts';
import type { S3Client } from './client.ts';
import { S3Error } from './failure.ts';
import { CHECKSUM_HEADER, checksumOf, objectHeaders, objectPath } from './object.ts';

export interface Puts {
  put(key: Key, body: readonly Uint8Array[], options: PutOptions): Promise<PutResult>;
  /** Whether an object is there, as far as the credentials can see: `hidden` when a HEAD is denied. */
  presence(key: Key, signal: AbortSignal): Promise<'present' | 'absent' | 'hidden'>;
}

/** Tells what a HEAD cannot: see store.ts. */
export type Head = (key: Key, signal: AbortSignal) => Promise<ObjectInfo | undefined>;

export function createPuts(client: S3Client, settings: S3Settings, head: Head): Puts {
  const presence = createPresence(client, settings, head);
  let honoured = settings.conditionalPut;

  const put = async (
    key: Key,
    body: readonly Uint8Array[],
    options: PutOptions,
    condition: Record<string, string> = {},
  ): Promise<PutResult> => {
    const headers = {
      ...objectHeaders(settings, options.contentType),
      ...condition,
      [CHECKSUM_HEADER]: checksumOf(body),
    };
    await client.send({ method: 'PUT', path: objectPath(settings, key), headers, body }, options.signal);
    return 'stored';
  };

  const putAfterHead: Puts['put'] = async (key, body, options) => {
    const seen = await presence(key, options.signal);
    if (seen === 'present') return 'exists';
    if (seen === 'hidden' && (await head(key, options.signal)) !== undefined) return 'exists';
    return put(key, body, options);
  };

  return {
    presence,
    async put(key, body, options) {
      if (!options.createOnly) return put(key, body, options);
      if (honoured === 'no') return putAfterHead(key, body, options);
      if (honoured === 'unknown' && (await presence(key, options.signal)) === 'present') return 'exists';
      try {
        return await put(key, body, options, { 'if-none-match': '*' });
      } catch (error) {
        if (!(error instanceof S3Error)) throw error;
        if (error.status === 412) {
          honoured = 'yes';
          return 'exists';
        }
        if (!refusesCondition(error)) throw error;
      }
      const result = await putAfterHead(key, body, options);
      honoured = 'no';
      return result;
    },
  };
}

function createPresence(client: S3Client, settings: S3Settings, head: Head): Puts['presence'] {
  return async (key, signal) => {
    try {
      await client.send({ method: 'HEAD', path: objectPath(settings, key) }, signal);
      return 'present';
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (error.absent) return 'absent';
      if (error.status === 403) return 'hidden';
      // Swift says so, and no more, of a wrong region.
      if (error.status !== 400) throw error;
    }
    return (await head(key, signal)) === undefined ? 'absent' : 'present';
  };
}

/** 501, or a 400 that is not about something else. */
function refusesCondition({ status, code }: S3Error): boolean {
  if (status === 501) return true;
  return (
    status === 400 &&
    (code === undefined || /^(InvalidArgument|InvalidRequest|BadRequest|NotImplemented)$/.test(code))
  );
}
