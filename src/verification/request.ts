/** What `wal-verify` was asked for. */
import { UsageError } from '../errors.ts';

export interface VerifyArguments {
  readonly json: boolean;
  /** The tables that are printed without it, too: for symmetry with backup-list. */
  readonly pretty: boolean;
  readonly read: boolean;
  /** `n/t`: the n-th of t parts of the objects; implies `read`. */
  readonly readPart: string | undefined;
}

/** The n-th of t parts. */
export interface ReadPart {
  readonly part: number;
  readonly of: number;
}

const MAX_PARTS = 1_000_000;

/** undefined: objects are not to be read. Throws UsageError. */
export function readPartOf({ read, readPart }: VerifyArguments): ReadPart | undefined {
  if (readPart === undefined) return read ? { part: 1, of: 1 } : undefined;
  const match = /^(\d{1,7})\/(\d{1,7})$/.exec(readPart);
  const [part, of] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && part >= 1 && part <= of && of <= MAX_PARTS) return { part, of };
  throw new UsageError(`argument --read-part: invalid part: '${readPart}'`, {
    hint: 'Give n/t, e.g. 3/7 to read the third of seven parts of the archive today, and 4/7 tomorrow.',
  });
}

/** Whether a key is in a part: the same ones each time, however the archive grows (FNV-1a over the key). */
export function isInPart(key: string, { part, of }: ReadPart): boolean {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % of === part - 1;
}
