/** Multipart uploads, with S3's rules: parts of 5 MiB but the last, in order, by the ETags that were given. */
import { randomBytes } from 'node:crypto';
import { type Bucket, md5, sizeOf, type Upload } from './bucket.ts';
import type { Habits } from './habits.ts';
import {
  checkCondition,
  checkDigest,
  crc32Of,
  encryptionOf,
  etagOf,
  keptHeaders,
  quoted,
} from './objects.ts';
import { type Answer, element, elementOf, header, type Received, Refused, xml } from './request.ts';

const LEAST_PART_BYTES = 5 * 1024 * 1024;

export function createUpload(bucket: Bucket, habits: Habits, request: Received): Answer {
  const id = randomBytes(16).toString('hex');
  const headers = keptHeaders(request, habits);
  bucket.uploads.set(id, {
    id,
    key: request.key,
    started: new Date(),
    contentType: header(request, 'content-type') ?? 'binary/octet-stream',
    headers,
    parts: new Map(),
  });
  const content = element('Bucket', request.bucket) + element('Key', request.key) + element('UploadId', id);
  return { status: 200, headers: encryptionOf(headers), body: xml('InitiateMultipartUploadResult', content) };
}

export function putPart(bucket: Bucket, habits: Habits, request: Received): Answer {
  const upload = uploadOf(bucket, request);
  const number = Number(request.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new Refused(
      400,
      'InvalidArgument',
      'Part number must be an integer between 1 and 10000, inclusive',
    );
  }
  checkDigest(request, habits.putNeedsMd5);
  const etag = etagOf(request.body, habits) || md5(request.body);
  upload.parts.set(number, { body: request.body, size: sizeOf(request.body), etag });
  const crc = header(request, 'x-amz-checksum-crc32');
  return {
    status: 200,
    headers: {
      ...quoted(etag),
      ...(crc === undefined || !habits.checksums ? {} : { 'x-amz-checksum-crc32': crc }),
    },
  };
}

export function completeUpload(bucket: Bucket, habits: Habits, request: Received): Answer {
  const upload = uploadOf(bucket, request);
  checkCondition(bucket, request, habits.conditionalComplete);
  const parts = listedParts(Buffer.concat(request.body).toString(), upload);
  const body = parts.flatMap((part) => part.body);
  const binary = parts.map((part) => Buffer.from(part.etag, 'hex'));
  const etag = habits.etag === 'empty' ? '' : `${md5(binary)}-${parts.length}`;
  const full = header(request, 'x-amz-checksum-type') === 'FULL_OBJECT' && habits.checksums;
  bucket.set(upload.key, {
    body,
    size: sizeOf(body),
    etag,
    modified: new Date(),
    contentType: upload.contentType,
    headers: { ...upload.headers, ...(full ? { 'x-amz-checksum-crc32': crc32Of(body) } : {}) },
  });
  bucket.uploads.delete(upload.id);
  const told = habits.completeEtag === 'empty' ? '' : `"${etag}"`;
  return {
    status: 200,
    body: xml('CompleteMultipartUploadResult', element('Key', upload.key) + element('ETag', told)),
  };
}

function listedParts(document: string, upload: Upload) {
  const listed = [...document.matchAll(/<Part>(.*?)<\/Part>/gs)].map((match) => match[1] ?? '');
  if (listed.length === 0) throw new Refused(400, 'MalformedXML', 'The XML you provided was not well-formed');
  let last = 0;
  const parts = listed.map((content) => {
    const number = Number(elementOf(content, 'PartNumber'));
    if (number <= last)
      throw new Refused(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.');
    last = number;
    const part = upload.parts.get(number);
    if (part === undefined || (elementOf(content, 'ETag') ?? '').replace(/"/g, '') !== part.etag) {
      throw new Refused(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
    }
    return part;
  });
  if (parts.slice(0, -1).some((part) => part.size < LEAST_PART_BYTES)) {
    throw new Refused(400, 'EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size');
  }
  return parts;
}

export function abortUpload(bucket: Bucket, request: Received): Answer {
  bucket.uploads.delete(uploadOf(bucket, request).id);
  return { status: 204 };
}

function uploadOf(bucket: Bucket, request: Received): Upload {
  const upload = bucket.uploads.get(request.query.get('uploadId') ?? '');
  if (upload !== undefined && upload.key === request.key) return upload;
  throw new Refused(404, 'NoSuchUpload', 'The specified multipart upload does not exist.');
}
