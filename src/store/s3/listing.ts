/** Listing objects, and listing and removing incomplete multipart uploads, with the SDK's commands. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { listedKey } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { Call, Leftover, ObjectInfo } from '../store.ts';
import { S3Error } from './failure.ts';
import { bucketKey } from './object.ts';
import type { SdkClient } from './sdk.ts';

export async function* listObjects(
  sdk: SdkClient,
  settings: S3Settings,
  prefix: string,
  { signal }: Call,
): AsyncGenerator<readonly ObjectInfo[]> {
  let token: string | undefined;
  do {
    const page = await sdk.send(
      new ListObjectsV2Command({
        Bucket: settings.bucket,
        Prefix: bucketKey(settings, prefix),
        EncodingType: 'url',
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
      { abortSignal: signal },
    );
    const objects = (page.Contents ?? []).map(({ Key, Size, LastModified }) => {
      const key = ownKey(settings, prefix, decoded(Key, page.EncodingType));
      if (Size === undefined || LastModified === undefined) throw strange(`no size or time for "${key}"`);
      return { key, size: Size, modified: LastModified };
    });
    if (objects.length > 0) yield objects;
    token = nextToken(page, token);
  } while (token !== undefined);
}

/** A store that gives the same token again would keep us listing for ever. */
function nextToken(
  { IsTruncated, NextContinuationToken }: ListObjectsV2CommandOutput,
  last: string | undefined,
): string | undefined {
  if (IsTruncated !== true) return undefined;
  if (NextContinuationToken === undefined || NextContinuationToken === last) {
    throw strange('there are more objects, but no way on');
  }
  return NextContinuationToken;
}

export async function* listUploads(
  sdk: SdkClient,
  settings: S3Settings,
  prefix: string,
  { signal }: Call,
): AsyncGenerator<readonly Leftover[]> {
  let markers: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await sdk.send(
      new ListMultipartUploadsCommand({
        Bucket: settings.bucket,
        Prefix: bucketKey(settings, prefix),
        EncodingType: 'url',
        ...markers,
      }),
      { abortSignal: signal },
    );
    const uploads = (page.Uploads ?? []).map(({ Key, UploadId, Initiated }) => {
      const key = ownKey(settings, prefix, decoded(Key, page.EncodingType));
      if (UploadId === undefined) throw strange(`an upload of "${key}" without an identity`);
      return { key, started: Initiated ?? new Date(0), id: UploadId };
    });
    if (uploads.length > 0) yield uploads;
    if (page.IsTruncated !== true) return;
    const KeyMarker = decoded(page.NextKeyMarker, page.EncodingType);
    const UploadIdMarker = page.NextUploadIdMarker ?? '';
    if (KeyMarker === markers.KeyMarker && UploadIdMarker === markers.UploadIdMarker) {
      throw strange('there are more uploads, but no way on');
    }
    markers = { KeyMarker, UploadIdMarker };
  }
}

/** An upload that is gone already counts as removed. */
export async function abortUpload(
  sdk: SdkClient,
  settings: S3Settings,
  { key, id }: Pick<Leftover, 'key' | 'id'>,
  { signal }: Call,
): Promise<void> {
  const upload = { Bucket: settings.bucket, Key: bucketKey(settings, key), UploadId: id };
  try {
    await sdk.send(new AbortMultipartUploadCommand(upload), { abortSignal: signal });
  } catch (error) {
    if (!(error instanceof S3Error && error.status === 404 && error.code !== 'NoSuchBucket')) throw error;
  }
}

/** Amazon writes a blank as a plus sign when it encodes keys; a plus sign itself is always encoded. */
function decoded(text: string | undefined, encoding: string | undefined): string {
  if (text === undefined) throw strange('a key is missing');
  return encoding === 'url' ? decodeURIComponent(text.replaceAll('+', ' ')) : text;
}

/** Keys outside of what was asked for are none of ours, whatever the store says. */
export function ownKey(settings: S3Settings, prefix: string, key: string): ReturnType<typeof listedKey> {
  const root = bucketKey(settings, '');
  if (!key.startsWith(root + prefix)) throw strange(`the key "${key}" is not under the prefix asked for`);
  return listedKey(key.slice(root.length));
}

function strange(detail: string): S3Error {
  return new S3Error("the store's listing makes no sense", { status: 0, detail, transient: false });
}
