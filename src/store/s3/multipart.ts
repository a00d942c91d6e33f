/**
 * Streams of unknown length, as multipart uploads: parts of one size (some stores demand that), few of them in memory,
 * each retried by itself. Whatever ends an upload early aborts it in the store, under a signal of its own.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { Call, FoundObject, PutOptions, PutResult } from '../store.ts';
import { type AbortableStream, abortableStream } from './abortable-stream.ts';
import type { S3Client } from './client.ts';
import { S3Error } from './failure.ts';
import { bucketKey, checksumText, UPLOAD_METADATA } from './object.ts';
import type { Head } from './put.ts';
import { createSdkClient } from './sdk.ts';
import { CLOCK_MS, cleanUp } from './upload-remains.ts';
import { type Watched, watch } from './upload-watch.ts';
import { type EtagHabit, isKept, NOT_KEPT, notKept, replaced } from './whole.ts';

const MIB = 1024 * 1024;
/** S3 allows 10,000 parts; the rest is for streams that give more than was expected. */
const PLANNED_PARTS = 9_000;
const PARTS_AT_ONCE = 2;

/** 5 MiB, the least that S3 takes, for all that stays under 43 GiB, up to 583 MiB for 5 TiB, the most an object can have. */
export function partBytes(expectedBytes = 0): number {
  return Math.max(5 * MIB, Math.ceil(expectedBytes / PLANNED_PARTS / MIB) * MIB);
}

export interface MultipartParts {
  readonly client: S3Client;
  readonly settings: S3Settings;
  readonly head: Head;
  readonly get: (key: Key, call: Call) => Promise<FoundObject | undefined>;
  readonly etagHabit: EtagHabit;
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
  const { bytes, whole } = summed(stream, parts.settings);
  const watched = watch(parts.client, failure, whole);
  const mark = randomUUID();
  const upload = new Upload({
    client: createSdkClient(watched.client, parts.settings.bucket, signal),
    params: {
      ...uploadParams(parts.settings, key, options),
      Metadata: { [UPLOAD_METADATA]: mark },
      Body: Readable.from(bytes, { objectMode: false }),
    },
    partSize: partBytes(options.expectedBytes),
    queueSize: PARTS_AT_ONCE,
    // Its own aborting would use the signal that has fired.
    leavePartsOnError: true,
  });
  const started = Date.now();
  try {
    await complete(upload, watched, parts, { key, mark, length: stream.length }, signal);
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
      wrong: reason instanceof S3Error && reason.code === NOT_KEPT,
    });
    if (options.createOnly && reason instanceof S3Error && reason.status === 412) return 'exists';
    throw reason;
  }
}

/** Work-alikes ignore conditions and checksums of a whole object, or refuse them. */
function isAws({ endpoint }: S3Settings): boolean {
  return endpoint === undefined;
}

/** `whole`: the headers that make AWS compare size and CRC32 of all that was read with what it has put together. */
function summed(
  stream: AbortableStream,
  settings: S3Settings,
): { bytes: AsyncIterable<Uint8Array>; whole: () => Record<string, string> } {
  if (!isAws(settings)) return { bytes: stream.bytes, whole: () => ({}) };
  let crc = 0;
  async function* bytes() {
    for await (const chunk of stream.bytes) {
      crc = crc32(chunk, crc);
      yield chunk;
    }
  }
  const whole = () => ({
    'x-amz-checksum-crc32': checksumText(crc),
    'x-amz-mp-object-size': String(stream.length()),
  });
  return { bytes: bytes(), whole };
}

interface Sent {
  readonly key: Key;
  /** In the object's metadata. */
  readonly mark: string;
  /** Bytes, known at the end. */
  readonly length: () => number;
}

/**
 * The answer to Complete may be lost; asked again, the store no longer knows the upload. In any case the object itself
 * tells whether it is whole, by its size and its ETag. Where nobody looks when an upload is completed, another process
 * may have put its own in the place of ours since: what came from another upload is left alone.
 */
async function complete(
  upload: Upload,
  watched: Watched,
  parts: MultipartParts,
  { key, mark, length }: Sent,
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
  const info = await parts.head(key, signal);
  const ours = gone === undefined || (info?.modified.getTime() ?? 0) > started - CLOCK_MS;
  const wrong = info === undefined || info.upload === mark ? notKept : replaced;
  if (info?.size !== length() || !ours) {
    throw gone ?? wrong(`"${key}" has ${info?.size ?? 'no'} bytes there, and ${length()} were sent.`);
  }
  // AWS has compared the CRC32 of the whole.
  if (isAws(parts.settings)) return;
  const { parts: sent, etags } = watched.joined();
  const joined = { parts: sent, etags: [...etags, info.etag] };
  if (await isKept(joined, parts.etagHabit, () => parts.get(key, { signal }))) return;
  throw (
    gone ??
    wrong(`"${key}" was read back, and is not the ${sent.length} parts that were sent, in their order.`)
  );
}

function uploadParams(
  settings: S3Settings,
  key: Key,
  { contentType, createOnly }: PutOptions,
): Omit<PutObjectCommandInput, 'Body'> {
  const { bucket, storageClass, encryption } = settings;
  const keyId = encryption.kind === 'aws:kms' ? encryption.keyId : undefined;
  const onAws = isAws(settings);
  return {
    Bucket: bucket,
    Key: bucketKey(settings, key),
    ContentType: contentType,
    ...(storageClass === undefined ? {} : { StorageClass: storageClassOf(storageClass) }),
    ...(encryption.kind === 'none' ? {} : { ServerSideEncryption: encryption.kind }),
    ...(keyId === undefined ? {} : { SSEKMSKeyId: keyId }),
    ...(onAws && createOnly ? { IfNoneMatch: '*' } : {}),
    ...(onAws ? { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } : {}),
  };
}

type StorageClass = NonNullable<PutObjectCommandInput['StorageClass']>;

/** The store knows its classes, not we; the SDK's type has AWS's. */
function storageClassOf(name: string): StorageClass {
  return name as StorageClass;
}
