/**
 * Signature Version 4 for S3, in the Authorization header, over the hash of the whole payload: a store refuses what was
 * changed on its way. The SDK's own signer does the same, and the tests hold this one against it; it is not used
 * here because loading it takes as long as pushing a segment (docs/performance.md).
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac } from 'node:crypto';
import type { S3Keys } from '../../settings/s3.ts';
import { encodePart } from './address.ts';

export interface Unsigned {
  readonly method: string;
  /** Percent-encoded, from the slash on. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Lower-case names, `host` among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the payload in hex. */
  readonly payloadHash: string;
}

/** Headers that proxies may change on the way. */
const UNSIGNED = new Set(['connection', 'content-length', 'expect', 'range', 'user-agent']);

export function hashOf(chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** `a=1&b=2`, encoded and in the order that is signed. */
export function queryString(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => [encodePart(name), encodePart(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** All headers to send, the given ones included. */
export function sign(request: Unsigned, keys: S3Keys, region: string, now: Date): Record<string, string> {
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-date': time,
    'x-amz-content-sha256': request.payloadHash,
  };
  if (keys.sessionToken !== undefined) headers['x-amz-security-token'] = keys.sessionToken;
  const names = Object.keys(headers)
    .filter((name) => !UNSIGNED.has(name))
    .sort();
  const canonical = [
    request.method,
    request.path,
    queryString(request.query),
    ...names.map((name) => `${name}:${headers[name]?.trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    request.payloadHash,
  ].join('\n');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')];
  const signature = hmac(signingKey(keys.secretAccessKey, day, region), toSign.join('\n')).toString('hex');
  headers.authorization =
    `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, ` +
    `SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return headers;
}

function signingKey(secret: string, day: string, region: string): Buffer {
  return [day, region, 's3', 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
