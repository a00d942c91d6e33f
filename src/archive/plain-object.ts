/** Objects of the archive as what they stand for: decrypted where they are encrypted, and decompressed. */
import { decodeLzop } from '../codec/decoder.ts';
import { decryptIfEncrypted } from '../crypt/gpg.ts';
import { StoreError, UserError } from '../errors.ts';
import type { Call, FoundObject, Store } from '../store/store.ts';
import { collect } from './bounded.ts';
import type { Key } from './layout.ts';

function plainContent(object: FoundObject, call: Call): AsyncGenerator<Uint8Array> {
  return decodeLzop(decryptIfEncrypted(object.body, call));
}

/** The content of an object as it comes; undefined when it is not there. */
export async function openPlain(
  store: Store,
  key: Key,
  call: Call,
): Promise<AsyncGenerator<Uint8Array> | undefined> {
  const object = await store.get(key, call);
  return object === undefined ? undefined : plainContent(object, call);
}

/** All of a small object; undefined when it is not there; DataError when it is longer than `maxBytes`. */
export async function readPlain(
  store: Store,
  key: Key,
  { maxBytes, signal }: Call & { readonly maxBytes: number },
): Promise<Buffer | undefined> {
  const object = await store.get(key, { signal });
  if (object === undefined) return undefined;
  return collect(plainContent(object, { signal }), maxBytes, key);
}

/** The first `bytes` bytes, or fewer when the object is shorter; the rest is not read. */
export async function readPlainHead(
  store: Store,
  key: Key,
  { bytes, signal }: Call & { readonly bytes: number },
): Promise<Buffer | undefined> {
  const object = await store.get(key, { signal });
  if (object === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of plainContent(object, { signal })) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= bytes) break;
  }
  return Buffer.concat(chunks).subarray(0, bytes);
}

/** A store that cannot be asked is a failure; an object that cannot be read here is an answer. */
export async function orUnreadable<Result>(
  read: () => Promise<Result>,
  { signal }: Call,
): Promise<Result | UserError> {
  try {
    return await read();
  } catch (error) {
    const unavailable = signal.aborted || (error instanceof StoreError && error.unavailable);
    if (error instanceof UserError && !unavailable) return error;
    throw error;
  }
}
