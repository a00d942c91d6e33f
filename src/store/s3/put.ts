/**
 * Single puts of bytes. Create-only is `If-None-Match: *`, one request, where the store honours it. Of a store of which
 * nothing is known that is found out by its first create-only put: a HEAD shows that nothing is there, the put stores
 * the object, and the same put once more, of the same bytes, shows what the header does. What was found out is
 * remembered (habit.ts, habit-notes.ts).
 */
import type { Key } from '../../archive/layout.ts';
import { isStoreFull } from '../../errors.ts';
import type { PutOptions, PutResult } from '../store.ts';
import type { S3Request } from './client.ts';
import { S3Error } from './failure.ts';
import { CONDITION, createKnowledge, type KnowledgeParts, refusesCondition } from './habit.ts';
import { CHECKSUM_HEADER, checksumOf, objectHeaders, objectPath, type S3ObjectInfo } from './object.ts';

export interface Puts {
  put(key: Key, body: readonly Uint8Array[], options: PutOptions): Promise<PutResult>;
  /** Whether an object is there, as far as the credentials can see: `hidden` when a HEAD is denied. */
  presence(key: Key, signal: AbortSignal): Promise<'present' | 'absent' | 'hidden'>;
}

/** Tells what a HEAD cannot: see store.ts. */
export type Head = (key: Key, signal: AbortSignal) => Promise<S3ObjectInfo | undefined>;

export interface PutParts extends KnowledgeParts {
  readonly head: Head;
}

export function createPuts(parts: PutParts): Puts {
  const { client, settings, head } = parts;
  const presence = createPresence(parts);
  const known = createKnowledge(parts);

  const requestOf = (
    key: Key,
    body: readonly Uint8Array[],
    { contentType }: PutOptions,
    condition: Readonly<Record<string, string>>,
  ): S3Request => {
    const headers = {
      ...objectHeaders(settings, contentType),
      ...condition,
      [CHECKSUM_HEADER]: checksumOf(body),
    };
    return { method: 'PUT', path: objectPath(settings, key), headers, body };
  };

  const plainPut: Puts['put'] = async (key, body, options) => {
    await client.send(requestOf(key, body, options, {}), options.signal);
    return 'stored';
  };

  /** What is hidden from a HEAD, and cannot be read either, is an error: this put might replace it. */
  const isThere = async (key: Key, signal: AbortSignal) => {
    const seen = await presence(key, signal);
    return seen === 'hidden' ? (await head(key, signal)) !== undefined : seen === 'present';
  };

  const createOnlyPut: Puts['put'] = async (key, body, options) => {
    const habit = known.habit();
    if (habit !== 'honours' && (await isThere(key, options.signal))) return 'exists';
    if (habit === 'refuses') return plainPut(key, body, options);
    const request = requestOf(key, body, options, CONDITION);
    try {
      await client.send(request, options.signal);
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (error.status === 412) {
        // Where it was seen to be ignored, servers behind one address are not all alike.
        if (habit === undefined) known.learn('honours');
        return 'exists';
      }
      if (!refusesCondition(error)) throw error;
      if (habit === 'honours' && (await isThere(key, options.signal))) return 'exists';
      const result = await plainPut(key, body, options);
      known.learn('refuses', error.code !== undefined || error.status === 501);
      return result;
    }
    if (habit === undefined) await known.findOut(request, options.signal);
    return 'stored';
  };

  return {
    presence,
    put: (...put) => (put[2].createOnly ? unlessSeen(presence, createOnlyPut, put) : plainPut(...put)),
  };
}

/**
 * A full store looks at its room before it looks at conditions; and what is there may be what an earlier attempt of this
 * put has filled it with.
 */
async function unlessSeen(
  presence: Puts['presence'],
  put: Puts['put'],
  [key, body, options]: Parameters<Puts['put']>,
): Promise<PutResult> {
  try {
    return await put(key, body, options);
  } catch (error) {
    if (!isStoreFull(error)) throw error;
    const seen = await presence(key, options.signal).catch(() => 'hidden');
    options.signal.throwIfAborted();
    if (seen === 'present') return 'exists';
    throw error;
  }
}

function createPresence({ client, settings, head }: PutParts): Puts['presence'] {
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
