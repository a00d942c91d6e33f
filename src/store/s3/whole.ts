/**
 * Whether an object in parts is what was sent. S3's ETag of such an object is the MD5 of the MD5s of its parts (their
 * ETags, as bytes), a dash, and their number; most work-alikes make it so, of the parts that they have put together, in
 * the order in which they did. One that cannot be made from the parts' ETags tells of a part that is missing or out of
 * its place, or of a store that makes them in its own way (Amazon itself, with KMS). Reading the object back tells which.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag), and the stores of docs/stores.md.
 */
import { createHash } from 'node:crypto';
import type { FoundObject } from '../store.ts';
import { S3Error } from './failure.ts';

/** A part that the store has taken. */
export interface SentPart {
  readonly bytes: number;
  /** In hex, as it was signed. */
  readonly sha256: string;
  /** As the store answered it. */
  readonly etag: string;
}

/** What this process has seen of the store's ETags of objects in parts; undefined: none of S3's form yet. */
export interface EtagHabit {
  made?: 'from the parts' | 'otherwise';
}

export interface Joined {
  /** In their order. */
  readonly parts: readonly SentPart[];
  /** Of the whole, as the store has told them: in the answer to the completion, which may be empty, and to a HEAD. */
  readonly etags: readonly string[];
}

/**
 * True when the ETag is that of the parts, or says nothing. Else the object is read back: once for each process, if that
 * shows a store whose ETags are made otherwise.
 */
export async function isKept(
  { parts, etags }: Joined,
  habit: EtagHabit,
  read: () => Promise<FoundObject | undefined>,
): Promise<boolean> {
  const told = etags.flatMap(compositeForm);
  const expected = compositeEtag(parts);
  if (expected === undefined || told.length === 0 || habit.made === 'otherwise') return true;
  if (told.every((etag) => etag === expected)) {
    habit.made = 'from the parts';
    return true;
  }
  const found = await read();
  if (found === undefined || !(await isWhatWasSent(found.body, parts))) return false;
  habit.made ??= 'otherwise';
  return true;
}

/** undefined: the ETags of the parts are not of S3's form, or this Node has no MD5 (FIPS). */
function compositeEtag(parts: readonly SentPart[]): string | undefined {
  const plain = parts.flatMap(({ etag }) => /^"?([0-9a-f]{32})"?$/i.exec(etag)?.[1] ?? []);
  if (plain.length !== parts.length) return undefined;
  try {
    const hash = createHash('md5');
    for (const hex of plain) hash.update(hex, 'hex');
    return `${hash.digest('hex')}-${parts.length}`;
  } catch {
    return undefined;
  }
}

/** Quotes are entities in a document. */
function compositeForm(etag: string): string[] {
  const plain = etag.replace(/&(?:quot|#34|#x22);/g, '"').trim();
  const form = /^"?([0-9a-f]{32}-[1-9]\d{0,4})"?$/i.exec(plain)?.[1];
  return form === undefined ? [] : [form.toLowerCase()];
}

async function isWhatWasSent(body: AsyncIterable<Uint8Array>, sent: readonly SentPart[]): Promise<boolean> {
  const parts = sent.filter(({ bytes }) => bytes > 0).values();
  let part = parts.next().value;
  let hash = createHash('sha256');
  let taken = 0;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      if (part === undefined) return false;
      const piece = chunk.subarray(at, at + part.bytes - taken);
      hash.update(piece);
      at += piece.length;
      taken += piece.length;
      if (taken < part.bytes) continue;
      if (hash.digest('hex') !== part.sha256) return false;
      part = parts.next().value;
      hash = createHash('sha256');
      taken = 0;
    }
  }
  return part === undefined;
}

/** Of errors after which what is in the store is removed. */
export const NOT_KEPT = 'NotKept';

/** `detail` says what the store has instead. */
export function notKept(detail: string): S3Error {
  return new S3Error('the store has not kept what was sent', {
    status: 0,
    code: NOT_KEPT,
    detail,
    transient: true,
  });
}

/** `detail` as above; what is there came from another upload, and stays. */
export function replaced(detail: string): S3Error {
  return new S3Error('another object has taken the place of what was sent', {
    // As of a store that looks when an upload is completed.
    status: 412,
    detail,
    transient: true,
  });
}
