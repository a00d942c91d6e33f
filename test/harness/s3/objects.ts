/** PUT, GET, HEAD and DELETE of one object. */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Bucket, md5, type Stored, sizeOf, slice } from './bucket.ts';
import { isCold, refusedCold } from './cold.ts';
import type { Habits } from './habits.ts';
import { type Answer, header, type Received, Refused } from './request.ts';

export function putObject(bucket: Bucket, habits: Habits, request: Received): Answer {
  checkDigest(request, habits.putNeedsMd5);
  checkCondition(bucket, request, habits.conditionalPut);
  const headers = keptHeaders(request, habits);
  const etag = etagOf(request.body, habits);
  bucket.set(request.key, {
    body: request.body,
    size: sizeOf(request.body),
    etag,
    modified: new Date(),
    contentType: header(request, 'content-type') ?? 'binary/octet-stream',
    headers,
  });
  return { status: 200, headers: { ...quoted(etag), ...encryptionOf(headers) } };
}

export function getObject(bucket: Bucket, habits: Habits, request: Received): Answer {
  const object = bucket.get(request.key);
  if (object === undefined) throw new Refused(404, 'NoSuchKey', 'The specified key does not exist.');
  const wanted = header(request, 'if-match');
  if (habits.ranges && wanted !== undefined && wanted !== `"${object.etag}"` && wanted !== '*') {
    throw new Refused(
      412,
      'PreconditionFailed',
      'At least one of the pre-conditions you specified did not hold',
    );
  }
  if (request.method === 'GET' && isCold(object, habits)) throw refusedCold(object);
  const headers: Record<string, string> = {
    ...quoted(object.etag),
    'accept-ranges': 'bytes',
    'last-modified': object.modified.toUTCString(),
    'content-type': object.contentType,
    ...givenBack(object, habits, header(request, 'x-amz-checksum-mode') === 'ENABLED'),
  };
  const range = habits.ranges ? /^bytes=(\d+)-(\d*)$/.exec(header(request, 'range') ?? '') : null;
  if (range === null) {
    return { status: 200, headers: { ...headers, 'content-length': String(object.size) }, body: object.body };
  }
  const from = Number(range[1]);
  const to = Math.min(range[2] === '' ? Number.POSITIVE_INFINITY : Number(range[2]), object.size - 1);
  if (from > to) throw new Refused(416, 'InvalidRange', 'The requested range is not satisfiable');
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': String(to - from + 1),
      'content-range': `bytes ${from}-${to}/${object.size}`,
    },
    body: slice(object.body, from, to),
  };
}

/** S3 gives 412 whether or not anything else is wrong with the object's place. */
export function checkCondition(
  bucket: Bucket,
  request: Received,
  habit: Habits['conditionalPut'] | Habits['conditionalComplete'],
): void {
  const condition = header(request, 'if-none-match');
  if (condition === undefined || habit === 'ignored') return;
  if (habit === 501)
    throw new Refused(
      501,
      'NotImplemented',
      'A header you provided implies functionality that is not implemented.',
    );
  if (habit === 400) throw new Refused(400, 'InvalidArgument', 'Conditional requests are not supported.');
  if (condition !== '*') throw new Refused(501, 'NotImplemented');
  if (habit === 412 || bucket.get(request.key) !== undefined) {
    throw new Refused(
      412,
      'PreconditionFailed',
      'At least one of the pre-conditions you specified did not hold',
    );
  }
}

export function checkDigest(request: Received, md5Needed: boolean): void {
  const given = header(request, 'content-md5');
  if (given === undefined && md5Needed) {
    throw new Refused(400, 'InvalidRequest', 'Missing required header for this request: Content-MD5');
  }
  if (given !== undefined && given !== md5(request.body, 'base64')) {
    throw new Refused(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  const crc = header(request, 'x-amz-checksum-crc32');
  if (crc !== undefined && crc !== crc32Of(request.body)) {
    throw new Refused(400, 'BadDigest', 'The CRC32 you specified did not match the calculated checksum.');
  }
}

export function crc32Of(chunks: readonly Uint8Array[]): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(chunks.reduce((crc, chunk) => crc32(chunk, crc), 0));
  return bytes.toString('base64');
}

/** Refuses what the store does not have, and gives what it keeps with the object. */
export function keptHeaders(request: Received, habits: Habits): Record<string, string> {
  const encryption = header(request, 'x-amz-server-side-encryption');
  if (encryption !== undefined && habits.encryption !== 'taken') {
    if (habits.encryption === 501)
      throw new Refused(501, 'NotImplemented', 'Server-side encryption is not implemented.');
    throw new Refused(400, 'InvalidRequest', 'Server-side encryption needs a secure connection.');
  }
  if (encryption !== undefined && encryption !== 'AES256' && encryption !== 'aws:kms') {
    throw new Refused(400, 'InvalidEncryptionAlgorithmError');
  }
  const storageClass = header(request, 'x-amz-storage-class');
  if (storageClass !== undefined && habits.storageClasses?.includes(storageClass) === false) {
    throw new Refused(400, 'InvalidStorageClass', 'The storage class you specified is not valid');
  }
  const kept = Object.keys(request.headers).filter((name) =>
    /^x-amz-(meta-.*|server-side-encryption.*|storage-class|checksum-crc32)$/.test(name),
  );
  return Object.fromEntries(kept.map((name) => [name, header(request, name) ?? '']));
}

function givenBack({ headers }: Stored, habits: Habits, checksums: boolean): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !name.startsWith('x-amz-checksum-') || (checksums && habits.checksums),
    ),
  );
}

export function encryptionOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.includes('encryption')));
}

export function etagOf(body: readonly Uint8Array[], { etag }: Habits): string {
  if (etag === 'empty') return '';
  if (etag === 'opaque') return randomBytes(16).toString('hex');
  return etag === 'md5' ? md5(body) : md5([Buffer.from('odd'), ...body]);
}

export function quoted(etag: string): Record<string, string> {
  return { etag: `"${etag}"` };
}
