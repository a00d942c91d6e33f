/**
 * Encryption through the user's own gpg, so that keyring, agent and smart card work as they are set up. An object is
 * gpg(lzop(data)), binary, without gpg's own compression: `gpg -e -z 0 -r KEY`, read by `gpg -d -q --batch` (WAL-E
 * 1.1.1, observed). Nothing here loads child_process before an object is really encrypted.
 */
import type { ErrorParts } from '../errors.ts';
import { DataError, SettingError, UserError } from '../errors.ts';
import type { GpgFailure } from './gpg-process.ts';

type Chunks = AsyncIterable<Uint8Array>;

export interface EncryptOptions {
  /** Whatever `gpg -r` takes: fingerprint, key id, mail address. */
  readonly keyId: string;
  readonly signal: AbortSignal;
}

export interface DecryptOptions {
  readonly signal: AbortSignal;
}

const LZOP_MAGIC = [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a];
/** Enough for the session keys of a hundred recipients, which stand at the beginning of a message. */
const SESSION_KEY_BYTES = 65536;
const ARMOR = new TextEncoder().encode('-----BEGIN PGP MESSAGE');

// Without a terminal and without a network: a key that is not in the keyring is an error, not a question or a look-up.
const BATCH = ['--batch', '--no-tty'];

/**
 * The source, encrypted. The output ends without an error only after gpg said that all of it was encrypted; leaving the
 * loop early kills gpg. Errors: UserError with gpg's own message; the source's error; the signal's reason.
 */
export async function* encrypt(source: Chunks, options: EncryptOptions): AsyncGenerator<Uint8Array> {
  const { runGpg } = await import('./gpg-process.ts');
  const args = [...BATCH, '--no-auto-key-locate', '-e', '-z', '0', '-r', options.keyId];
  yield* runGpg(args, source, {
    signal: options.signal,
    failed: (failure) => new UserError('gpg could not encrypt', encryptParts(failure, options.keyId)),
  });
}

/**
 * The object's content: as it is when it is not an OpenPGP message (an archive may have changed from plain to
 * encrypted), else decrypted. A chunk of the source need be valid only until the next is asked for. Errors: DataError
 * when gpg had the key and the message is damaged, UserError when it cannot be read here.
 */
export async function* decryptIfEncrypted(
  source: Chunks,
  options: DecryptOptions,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  if (!isOpenPgp(head)) return yield* joined(head, iterator);
  const { runGpg } = await import('./gpg-process.ts');
  const whole = joined(new Uint8Array(head), copies(iterator));
  yield* runGpg(['-d', '-q', ...BATCH], whole, { signal: options.signal, failed: decryptError });
}

/** A pipe keeps what it was given until gpg reads it. */
function copies(chunks: AsyncIterator<Uint8Array>): AsyncIterator<Uint8Array> {
  return {
    async next() {
      const next = await chunks.next();
      return next.done === true ? next : { done: false, value: new Uint8Array(next.value) };
    },
    async return() {
      await chunks.return?.();
      return { done: true, value: undefined };
    },
  };
}

/**
 * Says before any work whether an object can be read here, by its beginning: gpg is started on that alone, and tells
 * whether it had the key before it complains of the missing rest. Errors: UserError as of `decryptIfEncrypted`, but no
 * DataError: whether the object is damaged is found out by whoever reads it all. Closes the source.
 */
export async function checkReadable(source: Chunks, options: DecryptOptions): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const head = await readHead(iterator, SESSION_KEY_BYTES).finally(() => iterator.return?.());
    for await (const _ of decryptIfEncrypted(oneChunk(head), options));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
  }
}

/** Says before any work whether gpg is there and encrypts to the key: it encrypts a few bytes, which finds expired and untrusted keys too. */
export async function checkKey(keyId: string, signal: AbortSignal): Promise<void> {
  const { runGpg } = await import('./gpg-process.ts');
  const args = [...BATCH, '--no-auto-key-locate', '-e', '-z', '0', '-r', keyId];
  const failed = (failure: GpgFailure) =>
    new SettingError('the GPG key cannot be used for encryption', encryptParts(failure, keyId));
  const output = runGpg(args, oneChunk(Uint8Array.of(0)), { signal, failed });
  for await (const _ of output);
}

/** An OpenPGP message that starts with a session key packet (tags 1 and 3 of RFC 9580, old and new format), or its ASCII armor. */
export function isOpenPgp(head: Uint8Array): boolean {
  const [first] = head;
  if (first === undefined || startsWith(head, LZOP_MAGIC)) return false;
  if (startsWith(head, ARMOR)) return true;
  const tag = (first & 0xc0) === 0xc0 ? first & 0x3f : (first & 0xc0) === 0x80 ? (first & 0x3c) >> 2 : 0;
  return tag === 1 || tag === 3;
}

function encryptParts({ message }: GpgFailure, keyId: string): ErrorParts {
  return {
    detail: message,
    hint: `Run "gpg --list-keys ${keyId}" as the same user: the key must be in the keyring, not expired, and trusted (gpg --import-ownertrust).`,
  };
}

function decryptError({ message, status }: GpgFailure): UserError {
  if (/^(BADMDC|NODATA|DECRYPTION_KEY)\b/m.test(status))
    return new DataError('the encrypted object is damaged', { detail: message });
  // gpg says "No secret key" of one that it could not unlock, too.
  const locked = /^PINENTRY_LAUNCHED\b/m.test(status);
  return new UserError('gpg could not decrypt', {
    detail: message,
    hint: locked
      ? 'The key has a passphrase, and there is nobody to type it: have gpg-agent hold it (gpg-preset-passphrase), or use a key without one.'
      : 'Run "gpg --list-secret-keys" as the same user: the secret key must be in the keyring and usable without a question.',
  });
}

async function readHead(iterator: AsyncIterator<Uint8Array>, bytes = ARMOR.length): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array();
  while (head.length < bytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    // Too short a chunk is copied: asking for the next one may change it.
    const isEnough = head.length === 0 && next.value.length >= bytes;
    head = isEnough ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

/** `head`, then what is left of `rest`; returning it closes `rest`, also before the first read. */
function joined(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  let first: Uint8Array | undefined = head;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (first === undefined) return rest.next();
      const value = first;
      first = undefined;
      return { done: false, value };
    },
    async return() {
      await rest.return?.();
      return { done: true, value: undefined };
    },
  };
}

async function* oneChunk(chunk: Uint8Array) {
  yield chunk;
}

function startsWith(bytes: Uint8Array, prefix: ArrayLike<number>): boolean {
  return Array.from(prefix).every((byte, index) => bytes[index] === byte);
}
