/**
 * Removing objects with the SDK's commands: a thousand by one request, or one by one where a store refuses that. What
 * the document of that request cannot name (XML 1.0 has no way to write most control characters) goes one by one, too.
 */
import { DeleteObjectCommand, DeleteObjectsCommand } from '@aws-sdk/client-s3';
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { Call, RemoveFailure } from '../store.ts';
import { S3Error } from './failure.ts';
import { ownKey } from './listing.ts';
import { bucketKey } from './object.ts';
import type { SdkClient } from './sdk.ts';

export async function removeObjects(
  sdk: SdkClient,
  settings: S3Settings,
  keys: readonly Key[],
  call: Call,
): Promise<RemoveFailure[]> {
  const writable = keys.filter((key) => !UNWRITABLE.test(key));
  const failures = await removeMany(sdk, settings, writable, call);
  if (writable.length === keys.length) return failures;
  const others = keys.filter((key) => UNWRITABLE.test(key));
  return [...failures, ...(await removeEach(sdk, settings, others, call))];
}

/** All but the characters of XML 1.0 (production 2, Char). */
const UNWRITABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

async function removeMany(
  sdk: SdkClient,
  settings: S3Settings,
  keys: readonly Key[],
  call: Call,
): Promise<RemoveFailure[]> {
  if (keys.length === 0) return [];
  try {
    return await removeTogether(sdk, settings, keys, call);
  } catch (error) {
    // Ceph's gateway asks for the right on the whole bucket here, Amazon on each object. Some have no such request.
    if (!(error instanceof S3Error && [403, 405, 501].includes(error.status))) throw error;
    return removeEach(sdk, settings, keys, call);
  }
}

async function removeTogether(
  sdk: SdkClient,
  settings: S3Settings,
  keys: readonly Key[],
  { signal }: Call,
): Promise<RemoveFailure[]> {
  const answer = await sdk.send(
    new DeleteObjectsCommand({
      Bucket: settings.bucket,
      Delete: { Quiet: true, Objects: keys.map((key) => ({ Key: bucketKey(settings, key) })) },
    }),
    { abortSignal: signal },
  );
  return (answer.Errors ?? [])
    .filter(({ Code }) => Code !== 'NoSuchKey')
    .map(({ Key, Code, Message }) => ({
      key: ownKey(settings, '', Key ?? ''),
      reason: reason(Code, Message),
    }));
}

/** Refusals in a row from the first key on, after which it is the right that is missing and not the keys that are held. */
const TELLING_REFUSALS = 10;
/** Forbidden, under a hold, locked: what a store says of one object. */
const REFUSALS = [403, 412, 423];

/** Whoever may remove none of the first need not be refused a thousand times. */
async function removeEach(
  sdk: SdkClient,
  settings: S3Settings,
  keys: readonly Key[],
  { signal }: Call,
): Promise<RemoveFailure[]> {
  const failures: RemoveFailure[] = [];
  for (const [index, key] of keys.entries()) {
    try {
      const object = { Bucket: settings.bucket, Key: bucketKey(settings, key) };
      await sdk.send(new DeleteObjectCommand(object), { abortSignal: signal });
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (error.absent) continue;
      if (!REFUSALS.includes(error.status)) throw error;
      const why = reason(error.code, error.explanation);
      failures.push({ key, reason: why });
      if (index + 1 === TELLING_REFUSALS && failures.length === TELLING_REFUSALS)
        return [...failures, ...keys.slice(index + 1).map((left) => ({ key: left, reason: why }))];
    }
  }
  return failures;
}

function reason(code: string | undefined, message: string | undefined): string {
  return [code, message].filter(Boolean).join(': ');
}
