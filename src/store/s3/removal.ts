/** Removing objects with the SDK's commands: a thousand by one request, or one by one where a store refuses that. */
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

/** Whoever may not remove the first need not be refused a thousand times. */
async function removeEach(
  sdk: SdkClient,
  settings: S3Settings,
  keys: readonly Key[],
  { signal }: Call,
): Promise<RemoveFailure[]> {
  for (const [index, key] of keys.entries()) {
    try {
      const object = { Bucket: settings.bucket, Key: bucketKey(settings, key) };
      await sdk.send(new DeleteObjectCommand(object), { abortSignal: signal });
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      if (error.absent) continue;
      if (error.status !== 403) throw error;
      return keys.slice(index).map((left) => ({ key: left, reason: reason(error.code, error.explanation) }));
    }
  }
  return [];
}

function reason(code: string | undefined, message: string | undefined): string {
  return [code, message].filter(Boolean).join(': ');
}
