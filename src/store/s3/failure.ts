/** What went wrong, in one line with the setting to look at, and whether asking again can help. */
import { StoreError, type StoreErrorParts } from '../../errors.ts';
import { FULL_HINT, saysFull } from './full.ts';

/** A store's answer that is not what was asked for, or the lack of one. */
export class S3Error extends StoreError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The store's word for it, such as `NoSuchKey`; undefined when it gave none. */
  readonly code: string | undefined;
  /** The explanation that came with it. */
  readonly explanation: string;
  /** The store says that there is no such object. */
  readonly absent: boolean;

  constructor(message: string, parts: S3ErrorParts) {
    super(message, parts);
    this.status = parts.status;
    this.code = parts.code;
    this.explanation = parts.explanation ?? '';
    this.absent = parts.absent ?? false;
  }
}

export interface S3ErrorParts extends StoreErrorParts {
  readonly status: number;
  readonly code?: string | undefined;
  readonly explanation?: string | undefined;
  readonly absent?: boolean;
}

/** An answer with its body read as text. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Codes that come with a status of their own and may be gone the next time. */
const TRANSIENT_CODES = new Set([
  'BadDigest',
  'ConditionalRequestConflict',
  'IncompleteBody',
  'InternalError',
  'OperationAborted',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);

const TRANSIENT_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524]);

/** The request that was answered. */
export interface Sent {
  /** In words, e.g. `PUT s3://bucket/wal_005/….lzo`. */
  readonly what: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function refused({ what, method, headers: sent }: Sent, refusal: Refusal): S3Error {
  const { status, headers, text } = refusal;
  const code = xmlText(text, 'Code');
  const explanation = xmlText(text, 'Message') ?? '';
  const id = headers['x-amz-request-id'] || xmlText(text, 'RequestId');
  const said = [`${status}`, code, explanation === '' ? undefined : `"${printable(explanation)}"`];
  // Of the whole object: what was put together from parts will be the same the next time.
  const final = code === 'BadDigest' && 'x-amz-mp-object-size' in sent;
  const full = (method === 'PUT' || method === 'POST') && saysFull(status, code, explanation);
  const transient = !final && !full && isTransient(status, code);
  const stranger = status === 404 && code === undefined && id === undefined;
  const message = full ? 'the store is full' : messageOf(status, code, transient);
  return new S3Error(stranger ? 'what answers is not an S3 store' : message, {
    status,
    code,
    explanation,
    detail: `${what} was answered with ${said.filter(Boolean).join(' ')}${id === undefined ? '' : ` (request ${printable(id)})`}.`,
    hint: stranger ? 'Check WALE_S3_ENDPOINT.' : full ? FULL_HINT : hintOf(status, code, explanation, sent),
    absent: !stranger && isAbsence(status, code, explanation),
    transient,
    full,
    cold: isCold(code),
    retryAfterMs: retryAfterOf(headers),
  });
}

/** `Retry-After`: seconds, or a date by the clock of the one who answers. */
function retryAfterOf(headers: Refusal['headers']): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const ms = Date.parse(text) - (Date.parse(headers.date ?? '') || Date.now());
  return ms > 0 ? ms : undefined;
}

/**
 * A 404 that names something else (the bucket, the upload) is not the absence of an object. Whoever may read objects but
 * not list them is denied a missing one; S3 then names the right to list, which it looks at only when nothing is there.
 */
function isAbsence(status: number, code: string | undefined, explanation: string): boolean {
  if (status === 404) return code === undefined || code === 'NoSuchKey' || code === 'NotFound';
  return status === 403 && /not authorized to perform: s3:ListBucket\b/.test(explanation);
}

/** The second is Scality's word for an object that is on its way back. */
function isCold(code: string | undefined): boolean {
  return code === 'InvalidObjectState' || code === 'RestoreAlreadyInProgress';
}

/** A 409 without a word is a conflict with somebody who does the same at this moment. */
function isTransient(status: number, code: string | undefined): boolean {
  if (TRANSIENT_STATUSES.has(status)) return true;
  return code === undefined ? status === 409 : TRANSIENT_CODES.has(code);
}

function messageOf(status: number, code: string | undefined, transient: boolean): string {
  if (code === 'NoSuchBucket') return 'the bucket does not exist';
  if (code === 'RequestTimeTooSkewed') return "the clock and the store's clock differ too much";
  if (code === 'ExpiredToken' || code === 'TokenRefreshRequired') return 'the credentials have expired';
  if (code === 'InvalidAccessKeyId' || code === 'SignatureDoesNotMatch')
    return 'the store rejects the credentials';
  if (isCold(code)) return 'the object is archived in cold storage';
  if (status === 401 || status === 403) return 'the store denies access';
  return transient ? 'the store could not do what was asked' : 'the store refuses the request';
}

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Create the bucket, or correct it in WALE_S3_PREFIX or --s3-prefix.',
  InvalidAccessKeyId:
    'Check AWS_ACCESS_KEY_ID or --aws-access-key-id, and that the key belongs to this store.',
  SignatureDoesNotMatch: 'Check AWS_SECRET_ACCESS_KEY, and that it belongs to the access key.',
  ExpiredToken: 'Renew AWS_SESSION_TOKEN (or AWS_SECURITY_TOKEN) together with the key and the secret.',
  TokenRefreshRequired:
    'Renew AWS_SESSION_TOKEN (or AWS_SECURITY_TOKEN) together with the key and the secret.',
  InvalidToken: 'Check AWS_SESSION_TOKEN (or AWS_SECURITY_TOKEN): it belongs to one key and one store.',
  RequestTimeTooSkewed: "Set this machine's clock right.",
  AuthorizationHeaderMalformed: 'Set AWS_REGION to the region that the store expects.',
  IllegalLocationConstraintException: 'Set AWS_REGION to the region of the bucket.',
  PermanentRedirect: 'Set AWS_REGION to the region of the bucket; check WALE_S3_ENDPOINT.',
  InvalidStorageClass: 'The store does not have the storage class of WALE_S3_STORAGE_CLASS.',
  InvalidObjectState:
    'Bring it back first (RestoreObject), and the other objects that are needed; let no lifecycle rule move them there.',
  RestoreAlreadyInProgress: 'It is being brought back: wait until it can be read.',
  InvalidBucketName: 'Correct the bucket in WALE_S3_PREFIX or --s3-prefix.',
  MethodNotAllowed: 'Check that WALE_S3_ENDPOINT is the address of an S3 store.',
};

function hintOf(
  status: number,
  code: string | undefined,
  explanation: string,
  sent: Readonly<Record<string, string>>,
): string | undefined {
  if (code !== undefined && HINTS[code] !== undefined) return HINTS[code];
  if (code?.startsWith('KMS'))
    return 'Check WALE_S3_SSE_KMS_KEY_ID, and that the credentials may use that key.';
  if (status === 400 || status === 501) {
    if ('x-amz-server-side-encryption' in sent)
      return 'If the store has no server-side encryption, set WALE_S3_SSE to "none".';
    if ('x-amz-storage-class' in sent)
      return 'The store may not have the storage class of WALE_S3_STORAGE_CLASS.';
  }
  if (status === 401 || status === 403) {
    const right = /\b(?:s3|kms):\w+/.exec(explanation)?.[0];
    if (right !== undefined && /explicit deny/.test(explanation))
      return `A policy denies ${right} in so many words: it may demand an encryption (WALE_S3_SSE), or another way to the store.`;
    return right !== undefined
      ? `Allow ${right} to the owner of AWS_ACCESS_KEY_ID (docs/s3-permissions.md lists what is needed).`
      : 'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what their owner may do (docs/s3-permissions.md). Without s3:ListBucket a missing object is denied, too.';
  }
  return undefined;
}

/** The text of the first element of that name; what a store says is trusted no further than that. */
export function xmlText(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]{0,4096})</${name}>`).exec(xml)?.[1];
  return text
    ?.replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&amp;/g, '&');
}

/** No line breaks, no control characters, no endless text in a log. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\xa0-\uffff]+/g, ' ').slice(0, 400);
}
