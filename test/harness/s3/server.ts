/**
 * An S3 store for tests, on loopback: strict where S3 is strict (signatures, payload hashes, digests, clock, part sizes,
 * pages, conditions, policies), and able to take on the habits of its work-alikes. Objects are kept in memory.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Account, authorize } from './authorization.ts';
import { Bucket, sizeOf } from './bucket.ts';
import { AMAZON, type Habits } from './habits.ts';
import { deleteObjects, listObjects, listUploads } from './listings.ts';
import { getObject, putObject } from './objects.ts';
import { actionOf, allows, denied, type Policy } from './policy.ts';
import { type Answer, element, parseAddress, type Received, Refused, xml } from './request.ts';
import { abortUpload, completeUpload, createUpload, putPart } from './uploads.ts';

export interface S3ServerOptions {
  readonly habits?: Habits;
  readonly buckets?: readonly string[];
  readonly accounts?: readonly Account[];
  readonly region?: string;
  readonly policy?: Policy;
  readonly port?: number;
  /** Serves https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Milliseconds that the server's clock is ahead. */
  readonly clockAheadMs?: number;
  /** Called for every request that came in whole, before it is answered; what it returns is answered instead. */
  readonly intercept?: (request: Received) => Answer | undefined;
}

export interface S3Server {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  readonly bucket: Bucket;
  readonly account: Account;
  /** What came in: method, path with query, status. */
  readonly log: readonly string[];
  habits: Habits;
  /** Bytes that the bucket may hold; nothing is put beyond them, also where an object is replaced. */
  quota: number;
  policy: Policy | undefined;
  accounts: readonly Account[];
  intercept: ((request: Received) => Answer | undefined) | undefined;
  forgetLog(): void;
  close(): Promise<void>;
}

export const TEST_BUCKET = 'wale-test';
export const TEST_ACCOUNT: Account = {
  accessKeyId: 'AKIDTESTTESTTESTTEST',
  secretAccessKey: 'secret/With+Odd=Characters0123456789abcd',
};

export async function createS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const { buckets = [TEST_BUCKET], region = 'us-east-1', tls, clockAheadMs = 0 } = options;
  const stored = new Map(buckets.map((name) => [name, new Bucket()]));
  const now = () => Date.now() + clockAheadMs;
  const log: string[] = [];
  const listener = (message: http.IncomingMessage, response: http.ServerResponse) => {
    receive(message).then(
      (request) => {
        const answer = safely(() => answerTo(request, state, stored, { region, now }), state.habits);
        log.push(`${request.method} ${message.url} ${answer.status}`);
        send(response, request.method, answer, now());
      },
      () => response.destroy(),
    );
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const [first = new Bucket()] = stored.values();
  const state: S3Server = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    bucket: first,
    account: (options.accounts ?? [TEST_ACCOUNT])[0] ?? TEST_ACCOUNT,
    log,
    habits: options.habits ?? AMAZON,
    quota: Number.POSITIVE_INFINITY,
    policy: options.policy,
    accounts: options.accounts ?? [TEST_ACCOUNT],
    intercept: options.intercept,
    forgetLog: () => log.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return state;
}

async function receive(message: http.IncomingMessage): Promise<Received> {
  const hash = createHash('sha256');
  const body: Buffer[] = [];
  for await (const chunk of message) {
    hash.update(chunk);
    body.push(chunk);
  }
  const { method = '', headers, socket } = message;
  const address = parseAddress(message, ['127.0.0.1', 'localhost', '[::1]']);
  return { ...address, method, headers, body, bodyHash: hash.digest('hex'), port: socket.remotePort };
}

function answerTo(
  request: Received,
  state: S3Server,
  buckets: ReadonlyMap<string, Bucket>,
  place: { region: string; now: () => number },
): Answer {
  const instead = state.intercept?.(request);
  if (instead !== undefined) return instead;
  const { habits, accounts, policy } = state;
  authorize(request, { accounts, region: place.region, strictRegion: habits.strictRegion, now: place.now });
  const bucket = buckets.get(request.bucket);
  if (bucket === undefined) throw new Refused(404, 'NoSuchBucket', 'The specified bucket does not exist');
  const { method, key, query } = request;
  const may = (action: string, of: string) =>
    allows(policy, action, { bucket: request.bucket, key: of, prefix: query.get('prefix') ?? '' });
  if (key === '' && method === 'POST' && query.has('delete')) {
    return deleteObjects(bucket, habits, request, (one) =>
      may('s3:DeleteObject', one) ? undefined : denied('s3:DeleteObject', request.bucket),
    );
  }
  const action = actionOf(request);
  if (!may(action, key)) throw denied(action, request.bucket);
  const reading = method === 'GET' || method === 'HEAD';
  if (key !== '' && reading && bucket.get(key) === undefined && !may('s3:ListBucket', '')) {
    throw denied('s3:ListBucket', request.bucket);
  }
  if (method === 'PUT') checkRoom(bucket, state, request);
  return key === '' ? bucketAnswer(bucket, request) : objectAnswer(bucket, habits, request);
}

/** Before any condition, as Ceph does. */
function checkRoom(bucket: Bucket, { habits, quota }: S3Server, { body }: Received): void {
  if (quota === Number.POSITIVE_INFINITY) return;
  const { status, code, message } = habits.full;
  if (bucket.used() + sizeOf(body) > quota) throw new Refused(status, code, message ?? '');
}

function bucketAnswer(bucket: Bucket, request: Received): Answer {
  if (request.method !== 'GET') throw new Refused(405, 'MethodNotAllowed');
  return request.query.has('uploads') ? listUploads(bucket, request) : listObjects(bucket, request);
}

function objectAnswer(bucket: Bucket, habits: Habits, request: Received): Answer {
  const { method, query } = request;
  if (method === 'GET' || method === 'HEAD') return getObject(bucket, habits, request);
  if (method === 'PUT') {
    return query.has('uploadId') ? putPart(bucket, habits, request) : putObject(bucket, habits, request);
  }
  if (method === 'POST' && query.has('uploads')) return createUpload(bucket, habits, request);
  if (method === 'POST' && query.has('uploadId')) return completeUpload(bucket, habits, request);
  if (method === 'DELETE') {
    if (query.has('uploadId')) return abortUpload(bucket, request);
    bucket.delete(request.key);
    return { status: 204 };
  }
  throw new Refused(405, 'MethodNotAllowed');
}

function safely(answer: () => Answer, habits: Habits): Answer {
  try {
    return answer();
  } catch (error) {
    const refused = error instanceof Refused ? error : new Refused(500, 'InternalError', String(error));
    const { status, code, message, headers, elements } = refused;
    const more = Object.entries(elements).map(([name, value]) => element(name, value));
    const content = habits.errorCodes
      ? element('Code', code) + element('Message', message) + more.join('')
      : '';
    return { status, headers, body: habits.errorCodes ? xml('Error', content) : [] };
  }
}

function send(response: http.ServerResponse, method: string, answer: Answer, now: number): void {
  const { status, headers = {}, body = [] } = answer;
  const length = body.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  response.writeHead(status, {
    'content-length': String(length),
    ...(status >= 400 && length > 0 ? { 'content-type': 'application/xml' } : {}),
    date: new Date(now).toUTCString(),
    server: 'TestS3',
    'x-amz-request-id': randomBytes(8).toString('hex').toUpperCase(),
    ...headers,
  });
  if (method !== 'HEAD') for (const chunk of body) response.write(chunk);
  response.end();
}
