/** One part from the store into the target: fetched, decrypted, checked, extracted; again when it arrives damaged. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Key } from '../archive/layout.ts';
import type { PartFact } from '../archive/sentinel.ts';
import { decryptIfEncrypted } from '../crypt/gpg.ts';
import { DataError, StoreError, UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Store, urlOf } from '../store/store.ts';
import type { Extracted } from '../tar/extract.ts';
import { MemberError } from '../tar/member-error.ts';
import type { ExtractorThread } from './extractor-thread.ts';

export interface PartToFetch {
  readonly key: Key;
  readonly number: number;
  /** Bytes, as listed. */
  readonly size: number;
  /** Its sha256 or its date (see marker.ts). */
  readonly mark: string;
  /** What our own sentinel says of it. */
  readonly fact: PartFact | undefined;
}

export interface FetchCall {
  readonly store: Store;
  readonly thread: ExtractorThread;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Files of this part may lie in the target from an earlier run. */
  readonly resumed: boolean;
  /** Bytes written; negative when a failed attempt is taken back. */
  readonly onPlain: (bytes: number) => void;
  /** Called before a part is fetched again. */
  readonly onRepeat: () => void;
}

const ATTEMPTS = 3;
const PAUSE_MS = 500;

export async function fetchPart(part: PartToFetch, call: FetchCall): Promise<Extracted> {
  for (let attempt = 1; ; attempt += 1) {
    let written = 0;
    const onPlain = (bytes: number) => {
      written += bytes;
      call.onPlain(bytes);
    };
    try {
      return await attemptPart(part, { ...call, onPlain, resumed: call.resumed || attempt > 1 });
    } catch (error) {
      call.signal.throwIfAborted();
      if (!mayHelpToRepeat(error)) throw named(part, call.store, error);
      if (attempt === ATTEMPTS) throw gaveUp(part, call.store, error);
      call.onPlain(-written);
      call.onRepeat();
      call.log.warning('fetching a part again', {
        detail: `${urlOf(call.store, part.key)}: ${describe(error)}`,
        hint: `This was attempt ${attempt} of ${ATTEMPTS}.`,
      });
    }
    await delay(PAUSE_MS * attempt, undefined, { signal: call.signal });
  }
}

async function attemptPart(part: PartToFetch, call: FetchCall): Promise<Extracted> {
  const { store, thread, signal } = call;
  // The thread's slots take a chunk whole before the next is asked for.
  const found = await store.get(part.key, { signal, oneAtATime: true });
  if (found === undefined) throw new DataError('the object is gone');
  const plain = decryptIfEncrypted(checked(found.body, part), { signal });
  const extracted = await thread.extract(plain, { again: call.resumed, signal, onPlain: call.onPlain });
  const { fact } = part;
  if (fact !== undefined && (fact.members !== extracted.members || fact.expandedSize !== extracted.bytes)) {
    throw new DataError('the part does not hold what the sentinel says', {
      detail: `It holds ${extracted.members} members of ${extracted.bytes} bytes; expected were ${fact.members} of ${fact.expandedSize}.`,
    });
  }
  return extracted;
}

/** Passes the object's bytes on, and ends with a DataError when they are not those that the backup stored. */
async function* checked(body: AsyncIterable<Uint8Array>, part: PartToFetch): AsyncGenerator<Uint8Array> {
  const hash = part.fact === undefined ? undefined : createHash('sha256');
  const expected = part.fact?.size ?? part.size;
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    // Hashed first: whoever takes the chunk may hand its memory to another thread.
    hash?.update(chunk);
    yield chunk;
  }
  if (length !== expected)
    throw new DataError('the object is not as long as it must be', {
      detail: `It has ${length} bytes; expected were ${expected}.`,
    });
  const sum = hash?.digest('hex');
  if (sum !== part.fact?.sha256)
    throw new DataError('the object is not the one that the backup stored', {
      detail: `Its sha256 is ${sum}; the sentinel says ${part.fact?.sha256}.`,
    });
}

function mayHelpToRepeat(error: unknown): boolean {
  if (error instanceof StoreError) return error.transient;
  return error instanceof DataError && !(error instanceof MemberError);
}

function named(part: PartToFetch, store: Store, error: unknown): unknown {
  if (!(error instanceof UserError) || error instanceof StoreError) return error;
  const detail = `${urlOf(store, part.key)}: ${error.detail ?? error.message}`;
  const parts = { detail, hint: error.hint, cause: error };
  return error instanceof DataError
    ? new DataError(error.message, parts)
    : new UserError(error.message, parts);
}

function gaveUp(part: PartToFetch, store: Store, error: unknown): Error {
  return new DataError('a part of the base backup could not be restored', {
    detail: `${urlOf(store, part.key)}: ${describe(error)}`,
    hint: `It was fetched ${ATTEMPTS} times. Restore another backup (wal-e wal-verify), or put the object right and run the command again: parts that are there are kept.`,
    cause: error,
  });
}

function describe(error: unknown): string {
  if (!(error instanceof UserError)) return error instanceof Error ? error.message : String(error);
  return error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
}
