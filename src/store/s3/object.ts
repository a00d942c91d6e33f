/** Objects in the bucket: where a key is, what is sent with it, and what the store says of it. */
import { crc32 } from 'node:zlib';
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { ObjectInfo } from '../store.ts';
import { encodeKey } from './address.ts';
import { type Coldness, coldnessOf } from './cold-class.ts';
import { S3Error } from './failure.ts';

/** The full key of `key` in the bucket, under the prefix of the settings. */
export function bucketKey({ prefix }: S3Settings, key: string): string {
  return prefix === '' ? key : `${prefix}/${key}`;
}

export function objectPath(settings: S3Settings, key: string): string {
  return encodeKey(bucketKey(settings, key));
}

/**
 * The CRC32 of the plain object travels as metadata, since every store keeps metadata and not every store keeps
 * checksums; S3's form: big-endian, base64.
 */
export const CHECKSUM_HEADER = 'x-amz-meta-wal-e-crc32';

/** Which upload in parts an object came from: one that somebody else has put in its place is not ours to remove. */
export const UPLOAD_METADATA = 'wal-e-upload';

export function checksumOf(chunks: readonly Uint8Array[]): string {
  return checksumText(chunks.reduce((crc, chunk) => crc32(chunk, crc), 0));
}

export function checksumText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

/** What a new object is given, as headers. */
export function objectHeaders(
  { encryption, storageClass }: S3Settings,
  contentType: string,
): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': contentType };
  if (encryption.kind !== 'none') headers['x-amz-server-side-encryption'] = encryption.kind;
  if (encryption.kind === 'aws:kms' && encryption.keyId !== undefined) {
    headers['x-amz-server-side-encryption-aws-kms-key-id'] = encryption.keyId;
  }
  if (storageClass !== undefined) headers['x-amz-storage-class'] = storageClass;
  return headers;
}

export interface S3ObjectInfo extends ObjectInfo {
  /** As the store gives it; empty when it gives none. */
  readonly etag: string;
  /** See `UPLOAD_METADATA`. */
  readonly upload: string | undefined;
  /** undefined: it can be read. */
  readonly coldness: Coldness | undefined;
}

/** Of an answer to GET or HEAD; `size` is the whole object's. */
export function objectInfo(key: Key, headers: Readonly<Record<string, string>>): S3ObjectInfo {
  const range = /^bytes [\d-]+\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  const length = range ?? headers['content-length'];
  const modified = new Date(headers['last-modified'] ?? '');
  const size = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  if (size === undefined || Number.isNaN(modified.getTime())) {
    throw new S3Error('the store does not tell size and time of an object', {
      status: 0,
      detail: `"${key}": Content-Length is ${JSON.stringify(length)}, Last-Modified ${JSON.stringify(headers['last-modified'])}.`,
      hint: 'Check that WALE_S3_ENDPOINT is the address of an S3 store.',
      transient: false,
    });
  }
  const upload = headers[`x-amz-meta-${UPLOAD_METADATA}`];
  const coldness = coldnessOf(headers);
  const info = { key, size, modified, etag: headers.etag ?? '', upload, coldness };
  // "null": versioning was off when it was stored.
  const version = headers['x-amz-version-id'] ?? 'null';
  return version === 'null' ? info : { ...info, keepsVersions: true };
}
