/**
 * The SDK's client for what is not on the path of a segment: listing, removing, multipart uploads. It builds requests
 * and reads answers; signing, connections, retries and errors are client.ts's, as for everything else.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { S3Client as SdkClient } from '@aws-sdk/client-s3';
import type { HttpHandlerOptions, HttpRequest, HttpResponse, QueryParameterBag } from '@smithy/types';
import type { S3Client, S3Request } from './client.ts';
import { printable, S3Error } from './failure.ts';
import { silenceSdk } from './sdk-notices.ts';

export type { SdkClient };

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'] as const;
/** What our own client adds, or what tells the store nothing that it needs. */
const DROPPED =
  /^(host|user-agent|content-length|expect|connection|amz-sdk-.*|x-amz-user-agent|x-amz-sdk-checksum-algorithm)$/;

/** `signal` is for requests that come without one, such as those of an upload. */
export function createSdkClient(client: S3Client, bucket: string, signal?: AbortSignal): SdkClient {
  silenceSdk();
  /** What `client` has thrown is an answer; what else comes out of the SDK is its not understanding one. */
  const answers = new WeakSet<object>();
  const sdk = new SdkClient({
    endpoint: 'https://bucket.invalid',
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: 'signed', secretAccessKey: 'elsewhere' },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
    // Given, so that the SDK reads no configuration files.
    retryMode: 'standard',
    defaultsMode: 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    disableS3ExpressSessionAuth: true,
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    authSchemePreference: [],
    userAgentAppId: '',
    disableClockSkewCorrection: true,
    requestHandler: {
      handle: (request: HttpRequest, options?: HttpHandlerOptions) =>
        handle(client, bucket, request, options?.abortSignal ?? signal).catch((error: unknown) => {
          if (error instanceof Error) answers.add(error);
          throw error;
        }),
    },
  });
  sdk.middlewareStack.add(
    (next) => (args) =>
      next(args).catch((error: unknown) => {
        throw error instanceof Error && !answers.has(error) && !isAbort(error) ? notUnderstood(error) : error;
      }),
    { step: 'initialize', priority: 'high' },
  );
  return sdk;
}

/** The SDK does not wait for `handle` when the signal aborts; why it did, the signal says. */
function isAbort({ name }: Error): boolean {
  return name === 'AbortError';
}

function notUnderstood(error: Error): S3Error {
  return new S3Error("the store's answer makes no sense", {
    status: 0,
    detail: printable(error.message.split('\n', 1)[0] ?? ''),
    hint: 'Check that WALE_S3_ENDPOINT is the address of an S3 store.',
    transient: false,
    cause: error,
  });
}

async function handle(
  client: S3Client,
  bucket: string,
  request: HttpRequest,
  signal: HttpHandlerOptions['abortSignal'],
): Promise<{ response: HttpResponse }> {
  if (!(signal instanceof AbortSignal)) throw new TypeError('a request of the SDK without a signal');
  const { status, headers, text } = await client.send(ours(request, bucket), signal);
  return {
    response: { statusCode: status, headers: { ...headers }, body: Readable.from([Buffer.from(text)]) },
  };
}

function ours(request: HttpRequest, bucket: string): S3Request {
  const method = METHODS.find((known) => known === request.method);
  const start = `/${bucket}`;
  if (method === undefined || !request.path.startsWith(start)) {
    throw new TypeError(`a request of the SDK that is not for the bucket: ${request.method} ${request.path}`);
  }
  const query = plainQuery(request.query ?? {});
  const headers = Object.fromEntries(
    Object.entries(request.headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !DROPPED.test(name)),
  );
  const body = bytesOf(request.body);
  if ('delete' in query) demandMd5(headers, body);
  const path = request.path.slice(start.length);
  return { method, path: path === '' ? '/' : path, query, headers, body: [body] };
}

function plainQuery(bag: QueryParameterBag): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bag)
      .filter(([name]) => name !== 'x-id')
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : (value ?? '')]),
  );
}

/** Deleting many needs a checksum of the list; all stores know Content-MD5, some nothing else. */
function demandMd5(headers: Record<string, string>, body: Uint8Array): void {
  for (const name of Object.keys(headers)) if (name.startsWith('x-amz-checksum-')) delete headers[name];
  headers['content-md5'] = createHash('md5').update(body).digest('base64');
}

function bytesOf(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw new TypeError('a request of the SDK with a body that is not in memory');
}
