/** Encryption: a round trip through gpg and this user's keyring. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { checkKey, decryptIfEncrypted, encrypt } from '../crypt/gpg.ts';
import { type Finding, failed, failure, limited, ok, warning } from './finding.ts';

const NAME = 'gpg';

export async function probeCrypt(keyId: string | undefined, signal: AbortSignal): Promise<Finding> {
  if (keyId === undefined)
    return ok(NAME, 'off: objects are not encrypted (no --gpg-key-id, no WALE_GPG_KEY_ID)');
  const limit = limited(signal);
  try {
    await checkKey(keyId, limit);
  } catch (error) {
    signal.throwIfAborted();
    return failure(NAME, error, 'See docs/security.md, "Encryption".');
  }
  return roundTrip(keyId, signal, limit);
}

/** A machine that archives need not be able to read; so a missing secret key is a warning, other bytes are a failure. */
async function roundTrip(keyId: string, signal: AbortSignal, limit: AbortSignal): Promise<Finding> {
  const plain = randomBytes(65536);
  let back: Buffer;
  try {
    const encrypted = encrypt(oneChunk(plain), { keyId, signal: limit });
    back = await buffer(decryptIfEncrypted(encrypted, { signal: limit }));
  } catch (error) {
    signal.throwIfAborted();
    const { message } = failure(NAME, error, '');
    return warning(
      NAME,
      `this machine can encrypt to ${keyId} but not read what it encrypts (${message})`,
      'To restore here, import the secret key (gpg --import) and see that its use asks no question.',
    );
  }
  if (back.equals(plain)) return ok(NAME, `a round trip with the key ${keyId} gave the same bytes`);
  return failed(
    NAME,
    'what gpg decrypted is not what it encrypted',
    'Do not archive with this gpg; look at its version and its gpg.conf.',
  );
}

async function* oneChunk(chunk: Uint8Array) {
  yield chunk;
}
