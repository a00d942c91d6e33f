/** Encryption: `--gpg-key-id`, WALE_GPG_KEY_ID. */
import type { Settings } from './settings.ts';

/**
 * The key that new objects are encrypted to; undefined: they are not encrypted. An empty value is off: envdir turns
 * an empty file into an unset variable, but a shell or a unit file may well set it empty (the original then encrypted to "").
 * Reading needs no setting: whether an object is encrypted is told by its first bytes.
 */
export function gpgKeyId(settings: Settings): string | undefined {
  const keyId = settings.options.gpgKeyId ?? settings.environment.WALE_GPG_KEY_ID;
  return keyId === undefined || keyId.trim() === '' ? undefined : keyId;
}

/** The word about an empty key, for the log; undefined when there is nothing to say. */
export function gpgComplaint(settings: Settings): string | undefined {
  const given = settings.options.gpgKeyId ?? settings.environment.WALE_GPG_KEY_ID;
  if (given === undefined || gpgKeyId(settings) !== undefined) return undefined;
  return 'WALE_GPG_KEY_ID is set but empty: what is stored is not encrypted';
}
