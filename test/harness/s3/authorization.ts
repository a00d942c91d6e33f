/** Signature Version 4 as a strict store checks it: written from the description, apart from the client's own signer. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { header, type Received, Refused } from './request.ts';

export interface Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Only requests with this token are taken. */
  readonly sessionToken?: string | undefined;
  /** Requests are answered with ExpiredToken. */
  readonly expired?: boolean | undefined;
}

export interface AuthorizationRules {
  readonly accounts: readonly Account[];
  readonly region: string;
  readonly strictRegion: boolean;
  readonly now: () => number;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
const SKEW_MS = 15 * 60_000;

/** Throws Refused unless the request is signed, all of it, by an account, now. */
export function authorize(request: Received, rules: AuthorizationRules): Account {
  const match = AUTHORIZATION.exec(header(request, 'authorization') ?? '');
  if (match === null) throw new Refused(403, 'AccessDenied', 'Access Denied: no signature');
  const [, id, day = '', region = '', names = '', signature = ''] = match;
  const account = rules.accounts.find((known) => known.accessKeyId === id);
  if (account === undefined) {
    throw new Refused(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
    );
  }
  checkToken(request, account);
  checkTime(request, day, rules.now());
  checkRegion(region, rules);
  checkSignedHeaders(request, names.split(';'));
  const expected = signatureOf(request, names.split(';'), account.secretAccessKey, { day, region });
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) {
    throw new Refused(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  checkPayload(request);
  return account;
}

function checkToken(request: Received, account: Account): void {
  if (account.expired) throw new Refused(400, 'ExpiredToken', 'The provided token has expired.');
  const token = header(request, 'x-amz-security-token');
  if (token !== account.sessionToken) {
    throw new Refused(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.');
  }
}

function checkTime(request: Received, day: string, now: number): void {
  const time = header(request, 'x-amz-date') ?? '';
  const parsed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time);
  if (parsed === null || !time.startsWith(day)) {
    throw new Refused(403, 'AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  const [, y, mo, d, h, mi, s] = parsed.map(Number);
  const at = Date.UTC(y ?? 0, (mo ?? 1) - 1, d, h, mi, s);
  if (Math.abs(at - now) > SKEW_MS) {
    throw new Refused(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
  }
}

function checkRegion(region: string, rules: AuthorizationRules): void {
  if (region === rules.region || !rules.strictRegion) return;
  throw new Refused(
    400,
    'AuthorizationHeaderMalformed',
    `The authorization header is malformed; the region '${region}' is wrong; expecting '${rules.region}'`,
    { headers: { 'x-amz-bucket-region': rules.region }, elements: { Region: rules.region } },
  );
}

function checkSignedHeaders(request: Received, signed: readonly string[]): void {
  const needed = Object.keys(request.headers).filter(
    (name) =>
      name === 'host' || name === 'content-type' || name === 'content-md5' || name.startsWith('x-amz-'),
  );
  const missing = needed.filter((name) => !signed.includes(name));
  if (missing.length > 0) {
    throw new Refused(
      403,
      'AccessDenied',
      `There were headers present in the request which were not signed: ${missing}`,
    );
  }
}

function checkPayload(request: Received): void {
  const declared = header(request, 'x-amz-content-sha256');
  if (declared === undefined || !/^[0-9a-f]{64}$/.test(declared)) {
    throw new Refused(400, 'InvalidRequest', 'The test server takes signed payloads only');
  }
  if (declared !== request.bodyHash) {
    throw new Refused(
      400,
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
}

function signatureOf(
  request: Received,
  names: readonly string[],
  secret: string,
  { day, region }: { day: string; region: string },
): string {
  const query = [...request.rawQuery.split('&')]
    .filter((pair) => pair !== '')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort((a, b) => compare(a.split('=')[0] ?? '', b.split('=')[0] ?? '') || compare(a, b));
  const canonical = [
    request.method,
    request.rawPath,
    query.join('&'),
    ...names.map((name) => `${name}:${(header(request, name) ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    header(request, 'x-amz-content-sha256'),
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${header(request, 'x-amz-date')}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
  let key: Buffer | string = `AWS4${secret}`;
  for (const step of [day, region, 's3', 'aws4_request'])
    key = createHmac('sha256', key).update(step).digest();
  return createHmac('sha256', key).update(toSign).digest('hex');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
