/**
 * Signed requests to the bucket with one policy for all of them: errors are classified, transient ones retried, a wrong
 * clock allowed for, the bucket followed to its region, expired credentials renewed. The fast path (put, get, head)
 * uses it directly, the SDK's commands through sdk.ts.
 */
import { createHash } from 'node:crypto';
import type { S3Settings } from '../../settings/s3.ts';
import type { Retry } from '../retrying.ts';
import { bucketAddress } from './address.ts';
import type { Credentials } from './credentials.ts';
import { DOCUMENT_LIMIT_BYTES, readText, refuseDocument } from './document.ts';
import { type Refusal, refused, type S3Error, xmlText } from './failure.ts';
import { hashOf, queryString, sign } from './signature.ts';
import type { Transport, WireAnswer } from './transport.ts';

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** In the bucket, percent-encoded, with a leading slash (`/` for the bucket itself). */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
}

/** An answer of the store with a status of 200 to 299. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** How often it was asked; whoever asked twice may have been heard twice. */
  readonly attempts: number;
  /** SHA-256 of what was sent, in hex. */
  readonly payloadHash: string;
}

export interface S3Client {
  /** One attempt, for callers that retry more than the request. The caller reads the body. */
  once(request: S3Request, signal: AbortSignal): Promise<WireAnswer>;
  /**
   * Retried, with the whole body as text; a document cut off in the middle counts as no answer. Every answer without a
   * status of 200 to 299 rejects with an S3Error.
   */
  send(request: S3Request, signal: AbortSignal): Promise<S3Answer>;
}

export interface S3ClientParts {
  readonly settings: S3Settings;
  readonly transport: Transport;
  readonly credentials: Credentials;
  readonly retry: Retry;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const REFUSAL_LIMIT_BYTES = 64 * 1024;
const SKEW_MS = 4 * 60_000;

export function createS3Client(parts: S3ClientParts): S3Client {
  const { settings, retry } = parts;
  const attempts = createAttempts(parts);
  const url = `s3://${settings.bucket}`;
  return {
    once: (request, signal) => attempts(prepare(request, url), signal),
    send: (request, signal) => {
      const prepared = prepare(request, url);
      let made = 0;
      return retry.run(async (limited) => {
        made += 1;
        const { status, headers, body } = await attempts(prepared, limited);
        const text = await readText(body, DOCUMENT_LIMIT_BYTES, true);
        refuseDocument(prepared, { status, headers, text });
        return { status, headers, text, attempts: made, payloadHash: prepared.payloadHash };
      }, signal);
    },
  };
}

interface Prepared extends Required<S3Request> {
  readonly what: string;
  readonly payloadHash: string;
  readonly length: number;
}

function prepare(request: S3Request, url: string): Prepared {
  const { query = {}, headers = {}, body = [] } = request;
  const search = queryString(query).replace(/=(?=&|$)/g, '');
  return {
    ...request,
    query,
    headers,
    body,
    what: `${request.method} ${url}${decodeURIComponent(request.path)}${search === '' ? '' : `?${search}`}`,
    payloadHash: hashOf(body),
    length: body.reduce((sum, chunk) => sum + chunk.byteLength, 0),
  };
}

/**
 * How the store wants to be asked, as its refusals have shown. Of several requests under way at once each is corrected by
 * the manner that it was made in, whatever the others have found out meanwhile.
 */
interface Manner {
  readonly region: string;
  readonly clockOffsetMs: number;
  readonly contentMd5: boolean;
}

/** One request, signed. */
async function ask(
  { settings, transport, credentials, now = Date.now }: S3ClientParts,
  request: Prepared,
  { region, clockOffsetMs, contentMd5 }: Manner,
  signal: AbortSignal,
): Promise<WireAnswer> {
  const address = bucketAddress(settings, region);
  const { method, query, payloadHash } = request;
  const path = `${address.path}${request.path}`;
  const headers: Record<string, string> = { ...request.headers, host: address.host };
  if (method === 'PUT' || method === 'POST') headers['content-length'] = String(request.length);
  if (contentMd5 && (method === 'PUT' || method === 'POST')) headers['content-md5'] ??= md5Of(request.body);
  const keys = await credentials.get(signal);
  const time = new Date(now() + clockOffsetMs);
  const signed = sign({ method, path, query, headers, payloadHash }, keys, region, time);
  const search = queryString(query);
  const target = search === '' ? path : `${path}?${search}`;
  return transport.send({ ...request, address, path: target, headers: signed }, signal);
}

/** One attempt, which may take several requests: each of the corrections below is made at most once. */
function createAttempts(parts: S3ClientParts) {
  const { settings, credentials, now = Date.now } = parts;
  let manner: Manner = { region: settings.region, clockOffsetMs: 0, contentMd5: false };

  /** Changes what was wrong on our side in this request and tells whether there was something. */
  const correct = (
    request: Prepared,
    used: Manner,
    refusal: Refusal,
    error: S3Error,
    tried: Set<string>,
  ): boolean => {
    const once = (name: string) => !tried.has(name) && tried.add(name) !== undefined;
    const region = regionOf(refusal);
    if (region !== undefined && region !== used.region && once('region')) {
      manner = { ...manner, region };
      return true;
    }
    const offset = Date.parse(refusal.headers.date ?? '') - now();
    if (refusal.status === 403 && Math.abs(offset - used.clockOffsetMs) > SKEW_MS && once('clock')) {
      manner = { ...manner, clockOffsetMs: offset };
      return true;
    }
    // Asked for by buckets with object lock, and by stores that may not even say what they miss.
    const mute = error.code === undefined && request.method === 'PUT';
    if (!used.contentMd5 && refusal.status === 400 && (mute || /content-md5/i.test(error.explanation))) {
      manner = { ...manner, contentMd5: true };
      return true;
    }
    return isExpiry(error) && once('credentials') && credentials.renew();
  };

  return async (request: Prepared, signal: AbortSignal): Promise<WireAnswer> => {
    const tried = new Set<string>();
    for (;;) {
      const used = manner;
      const answer = await ask(parts, request, used, signal);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const { status, headers } = answer;
      const refusal = { status, headers, text: await readText(answer.body, REFUSAL_LIMIT_BYTES, false) };
      const error = refused(request, refusal);
      if (!correct(request, used, refusal, error, tried)) throw error;
    }
  };
}

function isExpiry(error: S3Error): boolean {
  return error.code === 'ExpiredToken' || error.code === 'TokenRefreshRequired';
}

/** Where the bucket says that it is. Source: how S3 redirects, and the SDK's following of it. */
function regionOf({ status, headers, text }: Refusal): string | undefined {
  if (status !== 301 && status !== 307 && status !== 400 && status !== 403) return undefined;
  const endpoint = xmlText(text, 'Endpoint') ?? headers.location ?? '';
  const region =
    headers['x-amz-bucket-region'] ??
    xmlText(text, 'Region') ??
    /[./]s3[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\./.exec(endpoint)?.[1];
  return region !== undefined && /^[a-z0-9-]{1,64}$/.test(region) ? region : undefined;
}

function md5Of(body: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const chunk of body) hash.update(chunk);
  return hash.digest('base64');
}
