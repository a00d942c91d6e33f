/** Multipart uploads, with S3's rules: parts of 5 MiB but the last, in order, by the ETags that were given. */
import { randomBytes } from 'node:crypto';
import { type Bucket, md5, type Part, sizeOf, type Upload } from './bucket.ts';
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
    checksum: checksumOf(request, habits),
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
  const crc = header(request, 'x-amz-checksum-crc32');
  // Without it S3 could not make the sum of sums; a sum of the whole it makes of what it has.
  if (upload.checksum === 'COMPOSITE' && crc === undefined) {
    throw new Refused(400, 'InvalidRequest', 'The upload was created using a crc32 checksum.');
  }
  upload.parts.set(number, { body: request.body, size: sizeOf(request.body), etag, crc32: crc });
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
  const parts = habits.join(listedParts(Buffer.concat(request.body).toString(), upload));
  const body = parts.flatMap((part) => part.body);
  const binary = parts.map((part) => Buffer.from(part.etag, 'hex'));
  const digest = md5(habits.compositeEtag === 'otherwise' ? body : binary);
  const etag = habits.etag === 'empty' ? '' : `${digest}-${parts.length}`;
  const sum = habits.checksums ? checkWhole(request, upload, parts) : undefined;
  bucket.set(upload.key, {
    body,
    size: sizeOf(body),
    etag,
    modified: new Date(),
    contentType: upload.contentType,
    headers: { ...upload.headers, ...sum },
  });
  bucket.uploads.delete(upload.id);
  const told = habits.completeEtag === 'empty' ? '' : `"${etag}"`;
  return {
    status: 200,
    body: xml('CompleteMultipartUploadResult', element('Key', upload.key) + element('ETag', told)),
  };
}

/** S3's own words for what it cannot do are not known; this server has CRC32 only. */
function checksumOf(request: Received, { checksums }: Habits): Upload['checksum'] {
  const algorithm = header(request, 'x-amz-checksum-algorithm');
  const type = header(request, 'x-amz-checksum-type') ?? 'COMPOSITE';
  if (algorithm === undefined || !checksums) return undefined;
  if (algorithm === 'CRC32' && (type === 'FULL_OBJECT' || type === 'COMPOSITE')) return type;
  throw new Refused(400, 'InvalidRequest', 'The checksum algorithm or type is not supported');
}

/** The size and the checksum of the whole, compared with what the client says of them; as headers of the object. */
function checkWhole(
  request: Received,
  { checksum }: Upload,
  parts: readonly Part[],
): Record<string, string> | undefined {
  const size = header(request, 'x-amz-mp-object-size');
  if (size !== undefined && Number(size) !== parts.reduce((sum, part) => sum + part.size, 0)) {
    throw new Refused(400, 'InvalidRequest', 'The provided object size does not match');
  }
  const type = header(request, 'x-amz-checksum-type');
  if (type !== undefined && type !== checksum) {
    throw new Refused(400, 'BadDigest', 'The checksum type does not match that of the upload');
  }
  if (checksum === undefined) return undefined;
  const sum =
    checksum === 'FULL_OBJECT'
      ? crc32Of(parts.flatMap((part) => part.body))
      : `${crc32Of(parts.map((part) => Buffer.from(part.crc32 ?? '', 'base64')))}-${parts.length}`;
  const given = header(request, 'x-amz-checksum-crc32');
  if (given !== undefined && given !== sum) {
    throw new Refused(400, 'BadDigest', 'The CRC32 you specified did not match the calculated checksum.');
  }
  return { 'x-amz-checksum-crc32': sum, 'x-amz-checksum-type': checksum };
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
    const crc = elementOf(content, 'ChecksumCRC32');
    if (crc !== undefined && crc !== part.crc32) {
      throw new Refused(400, 'InvalidPart', 'The checksum of a part is not the one that was given with it.');
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
