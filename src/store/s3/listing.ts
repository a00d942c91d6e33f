/** Listing objects, and listing and removing incomplete multipart uploads, with the SDK's commands. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { listedKey } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import { skippedFolder } from '../skipped-folder.ts';
import type { Call, Leftover, ListOptions, ObjectInfo } from '../store.ts';
import { isColdClass } from './cold-class.ts';
import { printable, S3Error } from './failure.ts';
import { bucketKey } from './object.ts';
import type { SdkClient } from './sdk.ts';

/** Removing takes no more at once, whatever a store takes a page to be. */
const PAGE_KEYS = 1000;
/** Pages without a key that S3 may give before it has passed what was removed; more only from a store that has no end. */
const MOST_EMPTY_PAGES = 10_000;

export async function* listObjects(
  sdk: SdkClient,
  settings: S3Settings,
  prefix: string,
  { signal, skip }: ListOptions,
  mostEmptyPages = MOST_EMPTY_PAGES,
): AsyncGenerator<readonly ObjectInfo[]> {
  let place: Place | undefined = {};
  let last: string | undefined;
  let empty = 0;
  while (place !== undefined) {
    const command: ListObjectsV2Command = new ListObjectsV2Command({
      Bucket: settings.bucket,
      Prefix: bucketKey(settings, prefix),
      EncodingType: 'url',
      ...place,
    });
    const page = await sdk.send(command, { abortSignal: signal });
    const objects = objectsOf(page, settings, prefix);
    for (const { key } of objects) {
      if (last !== undefined && !isBefore(last, key)) throw strange(`the key "${key}" comes after "${last}"`);
      last = key;
    }
    yield* inPages(skip === undefined ? objects : without(objects, prefix, skip), skip !== undefined);
    empty = objects.length === 0 ? empty + 1 : 0;
    if (empty > mostEmptyPages) throw strange('pages without a key do not end');
    // An empty page has brought us no further: its own way on leads there.
    const behind = skip === undefined || empty > 0 ? undefined : behindSkipped(last, prefix, skip);
    place = nextPlace(page, place, behind === undefined ? undefined : bucketKey(settings, behind));
  }
}

/** Where a page begins. */
interface Place {
  readonly ContinuationToken?: string;
  readonly StartAfter?: string;
}

type Skip = (folder: string) => boolean;

function without(objects: readonly ObjectInfo[], prefix: string, skip: Skip): readonly ObjectInfo[] {
  return objects.filter(({ key }) => skippedFolder(key, prefix, skip) === undefined);
}

function* inPages(objects: readonly ObjectInfo[], mayBeEmpty: boolean): Generator<readonly ObjectInfo[]> {
  if (objects.length === 0 && mayBeEmpty) yield objects;
  for (let i = 0; i < objects.length; i += PAGE_KEYS) yield objects.slice(i, i + PAGE_KEYS);
}

/** When the page ended in a folder that is skipped: behind all names in it that begin with a letter or a digit. */
function behindSkipped(last: string | undefined, prefix: string, skip: Skip): string | undefined {
  const folder = last === undefined ? undefined : skippedFolder(last, prefix, skip);
  if (last === undefined || folder === undefined) return undefined;
  return isBefore(last, `${folder}~`) ? `${folder}~` : undefined;
}

function objectsOf(page: ListObjectsV2CommandOutput, settings: S3Settings, prefix: string): ObjectInfo[] {
  return (page.Contents ?? []).map(({ Key, Size, LastModified, StorageClass }) => {
    const key = ownKey(settings, prefix, decoded(Key, page.EncodingType));
    if (!Number.isSafeInteger(Size) || Size === undefined || Size < 0) throw strange(`no size for "${key}"`);
    if (LastModified === undefined || Number.isNaN(LastModified.getTime()))
      throw strange(`no time for "${key}"`);
    const object = { key, size: Size, modified: LastModified };
    return isColdClass(StorageClass) ? { ...object, coldClass: StorageClass } : object;
  });
}

/** By UTF-16, which is quicker to tell, or by UTF-8 bytes: only emoji and the like are ordered differently. */
function isBefore(a: string, b: string): boolean {
  return a < b || Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

/** A store that gives the same token again would keep us listing for ever; a longer loop shows in the order of its keys. */
function nextPlace(
  { IsTruncated, NextContinuationToken }: ListObjectsV2CommandOutput,
  { ContinuationToken: before }: Place,
  behind: string | undefined,
): Place | undefined {
  if (IsTruncated !== true) return undefined;
  if (behind !== undefined) return { StartAfter: behind };
  if (!NextContinuationToken || NextContinuationToken === before) {
    throw strange('there are more objects, but no way on');
  }
  return { ContinuationToken: NextContinuationToken };
}

export async function* listUploads(
  sdk: SdkClient,
  settings: S3Settings,
  prefix: string,
  { signal }: Call,
): AsyncGenerator<readonly Leftover[]> {
  let markers: { KeyMarker?: string; UploadIdMarker?: string } = {};
  /** In a row that ended at the same key. */
  let pages = 0;
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
    const { KeyMarker: before = '' } = markers;
    const isOnward =
      KeyMarker === before ? UploadIdMarker !== markers.UploadIdMarker : isBefore(before, KeyMarker);
    pages = KeyMarker === before ? pages + 1 : 0;
    if (!isOnward || pages > MOST_EMPTY_PAGES) throw strange('there are more uploads, but no way on');
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
  if (encoding !== 'url') return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw strange(`the key "${text}" is not percent-encoded as the store says`);
  }
}

/** Keys outside of what was asked for are none of ours, whatever the store says. */
export function ownKey(settings: S3Settings, prefix: string, key: string): ReturnType<typeof listedKey> {
  const root = bucketKey(settings, '');
  if (!key.startsWith(root + prefix)) throw strange(`the key "${key}" is not under the prefix asked for`);
  return listedKey(key.slice(root.length));
}

function strange(detail: string): S3Error {
  const parts = { status: 0, detail: printable(detail), transient: false };
  return new S3Error("the store's listing makes no sense", parts);
}
