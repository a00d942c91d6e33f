/**
 * Streams of unknown length, as multipart uploads: parts of one size (some stores demand that), few of them in memory,
 * each retried by itself. Whatever ends an upload early aborts it in the store, under a signal of its own.
 */
import { Readable } from 'node:stream';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { ObjectInfo, PutOptions, PutResult } from '../store.ts';
import { abortableStream } from './abortable-stream.ts';
import type { S3Client } from './client.ts';
import { S3Error } from './failure.ts';
import { abortUpload, listUploads, removeObjects } from './listing.ts';
import { bucketKey } from './object.ts';
import { createSdkClient } from './sdk.ts';

const MIB = 1024 * 1024;
/** S3 allows 10,000 parts; the rest is for streams that give more than was expected. */
const PLANNED_PARTS = 9_000;
const PARTS_AT_ONCE = 2;
const CLEAN_UP_MS = 30_000;
/** How far the clocks of store and host may differ when the age of an object is judged. */
const CLOCK_MS = 15 * 60_000;

/** 8 MiB for all that stays under 70 GiB, up to 583 MiB for 5 TiB, the most an object can have. */
export function partBytes(expectedBytes = 0): number {
  return Math.max(8 * MIB, Math.ceil(expectedBytes / PLANNED_PARTS / MIB) * MIB);
}

export interface MultipartParts {
  readonly client: S3Client;
  readonly settings: S3Settings;
  readonly head: (key: Key, signal: AbortSignal) => Promise<ObjectInfo | undefined>;
}

/** Ends `source` when the upload fails. */
export async function putMultipart(
  parts: MultipartParts,
  key: Key,
  source: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<PutResult> {
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const stream = abortableStream(source, signal);
  const watched = watch(parts.client, failure);
  const upload = new Upload({
    client: createSdkClient(watched.client, parts.settings.bucket, signal),
    params: {
      ...uploadParams(parts.settings, key, options),
      Body: Readable.from(stream.bytes, { objectMode: false }),
    },
    partSize: partBytes(options.expectedBytes),
    queueSize: PARTS_AT_ONCE,
    // Its own aborting would use the signal that has fired.
    leavePartsOnError: true,
  });
  const started = Date.now();
  try {
    await complete(upload, parts, key, stream.length, signal);
    if (watched.maybeBegunTwice()) await cleanUp(parts, key, { started });
    return 'stored';
  } catch (error) {
    const reason = options.signal.aborted
      ? options.signal.reason
      : failure.signal.aborted
        ? failure.signal.reason
        : error;
    failure.abort(reason);
    await cleanUp(parts, key, {
      id: upload.uploadId,
      started: watched.maybeBegunTwice() ? started : undefined,
      wrong: reason instanceof S3Error && reason.code === WRONG_SIZE,
    });
    if (options.createOnly && reason instanceof S3Error && reason.status === 412) return 'exists';
    throw reason;
  }
}

/**
 * The answer to Complete may be lost; asked again, the store no longer knows the upload. In any case the object itself
 * tells whether it is whole: of the answer's ETag nothing can be said (Ceph leaves it empty).
 */
async function complete(
  upload: Upload,
  { head }: MultipartParts,
  key: Key,
  length: () => number,
  signal: AbortSignal,
): Promise<void> {
  const started = Date.now();
  let gone: unknown;
  try {
    await upload.done();
  } catch (error) {
    if (!(error instanceof S3Error && error.code === 'NoSuchUpload')) throw error;
    gone = error;
  }
  const info = await head(key, signal);
  const ours = gone === undefined || (info?.modified.getTime() ?? 0) > started - CLOCK_MS;
  if (info?.size === length() && ours) return;
  throw gone ?? wrongSize(key, info?.size, length());
}

interface Watched {
  readonly client: S3Client;
  /** The store may have begun an upload of whose identity we never heard. */
  maybeBegunTwice(): boolean;
}

/** A part that failed for good ends the whole upload at once; the answer to Complete is looked into above. */
function watch(client: S3Client, failure: AbortController): Watched {
  let unheard = false;
  return {
    maybeBegunTwice: () => unheard,
    client: {
      once: client.once,
      async send(request, signal) {
        const { method, query = {} } = request;
        const beginning = method === 'POST' && 'uploads' in query;
        if (beginning) unheard = true;
        try {
          const answer = await client.send(request, signal);
          if (beginning) unheard = answer.attempts > 1;
          return answer;
        } catch (error) {
          const completing = method === 'POST' && 'uploadId' in query;
          if (!completing) failure.abort(error);
          throw error;
        }
      },
    },
  };
}

function uploadParams(
  settings: S3Settings,
  key: Key,
  { contentType, createOnly }: PutOptions,
): Omit<PutObjectCommandInput, 'Body'> {
  const { bucket, storageClass, encryption, endpoint } = settings;
  const keyId = encryption.kind === 'aws:kms' ? encryption.keyId : undefined;
  const onAws = endpoint === undefined;
  return {
    Bucket: bucket,
    Key: bucketKey(settings, key),
    ContentType: contentType,
    ...(storageClass === undefined ? {} : { StorageClass: storageClassOf(storageClass) }),
    ...(encryption.kind === 'none' ? {} : { ServerSideEncryption: encryption.kind }),
    ...(keyId === undefined ? {} : { SSEKMSKeyId: keyId }),
    // Work-alikes ignore conditions here, or refuse them even for a new object; and checksums of the whole are AWS's own.
    ...(onAws && createOnly ? { IfNoneMatch: '*' } : {}),
    ...(onAws ? { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } : {}),
  };
}

type StorageClass = NonNullable<PutObjectCommandInput['StorageClass']>;

/** The store knows its classes, not we; the SDK's type has AWS's. */
function storageClassOf(name: string): StorageClass {
  return name as StorageClass;
}

interface Remains {
  /** The upload, when it was begun. */
  readonly id?: string | undefined;
  /** When uploads of the key since then are ours. */
  readonly started?: number | undefined;
  /** The object itself is not what was sent. */
  readonly wrong?: boolean;
}

/** Nothing stays in the store: neither parts, nor an upload whose beginning was not answered, nor a wrong object. */
async function cleanUp(
  { client, settings }: MultipartParts,
  key: Key,
  { id, started, wrong }: Remains,
): Promise<void> {
  const call = { signal: AbortSignal.timeout(CLEAN_UP_MS) };
  const sdk = createSdkClient(client, settings.bucket);
  try {
    if (id !== undefined) await abortUpload(sdk, settings, { key, id }, call);
    if (started !== undefined) {
      for await (const page of listUploads(sdk, settings, key, call)) {
        const ours = page.filter(
          (upload) => upload.key === key && upload.started.getTime() > started - CLOCK_MS,
        );
        for (const upload of ours) await abortUpload(sdk, settings, upload, call);
      }
    }
    if (wrong === true) await removeObjects(sdk, settings, [key], call);
  } catch {
    // What stays is found by `leftovers`; how the upload itself ended is what counts.
  }
}

const WRONG_SIZE = 'WrongSize';

function wrongSize(key: Key, stored: number | undefined, sent: number): S3Error {
  return new S3Error('the store has not kept what was sent', {
    status: 0,
    code: WRONG_SIZE,
    detail: `"${key}" has ${stored ?? 'no'} bytes there, and ${sent} were sent.`,
    transient: true,
  });
}
