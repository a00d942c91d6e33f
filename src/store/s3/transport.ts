/**
 * One HTTP request and its answer, over connections that are kept alive and shared. Times out when nothing moves, or so
 * little that it would never end. No service client, no redirects, no retries: those are the caller's.
 */
import * as http from 'node:http';
import type { Agent } from 'node:https';
import type { Socket } from 'node:net';
import type { Address } from './address.ts';
import { heedFailure, heedLateness } from './attempts.ts';
import { createEchoGuard, type EchoGuard } from './echo.ts';
import { S3Error } from './failure.ts';
import { timedOut, tooSlow, unreachable } from './network-failure.ts';

export interface WireRequest {
  /** The request in words, for messages. */
  readonly what: string;
  readonly address: Address;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
}

export interface WireAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read at most once; leaving early closes the connection. Throws when it breaks off, ends early or stalls. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Timeouts {
  readonly connectMs: number;
  /** Longest time without a byte in either direction, while one is waited for. */
  readonly idleMs: number;
}

/** In twice the idle time at least so much has to go up or come down (1 KiB/s with 30 s), or it would never end. */
const LEAST_BYTES = 64 * 1024;

/**
 * S3 keeps a connection alive with blanks while it puts an object together or removes many, which may take minutes: what
 * is not a GET has this many idle times for its answer.
 */
const LONGEST_IDLES = 60;

/** Makes the agent for one protocol; see agent.ts. */
export type AgentSource = (address: Address) => Promise<http.Agent | Agent>;

export interface Transport {
  /** Rejects with an S3Error of status 0 when there is no answer, or with the signal's reason. */
  send(request: WireRequest, signal: AbortSignal): Promise<WireAnswer>;
}

export function createTransport(agentFor: AgentSource, timeouts: Timeouts): Transport {
  const isEcho = createEchoGuard();
  return {
    async send(request, signal) {
      const agent = await agentFor(request.address);
      signal.throwIfAborted();
      const response = await exchange(request, agent, timeouts, signal, isEcho);
      const empty = request.method === 'HEAD' || response.headers['content-length'] === '0';
      return {
        status: response.statusCode ?? 0,
        headers: plainHeaders(response.headers),
        body: empty ? noBody(response) : bodyOf(request, response, timeouts.idleMs, signal),
      };
    },
  };
}

/** Deleting a thousand objects or putting one together from parts is work, during which some stores say nothing. */
const POST_IDLES = 4;

function exchange(
  { what, address, method, path, headers, body }: WireRequest,
  agent: http.Agent | Agent,
  { connectMs, idleMs: usualMs }: Timeouts,
  signal: AbortSignal,
  isEcho: EchoGuard,
): Promise<http.IncomingMessage> {
  const secure = address.protocol === 'https';
  const idleMs = method === 'POST' ? POST_IDLES * usualMs : usualMs;
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent,
      protocol: `${address.protocol}:`,
      host: address.hostname,
      port: address.port,
      method,
      path,
      headers,
    });
    const fail = (error: unknown) => {
      settle();
      request.destroy();
      reject(error);
    };
    const onAbort = () => fail(signal.reason);
    const connecting = setTimeout(() => {
      heedLateness();
      fail(timedOut(what, 'no connection was made', connectMs));
    }, connectMs);
    const slowMs = slowestMs(body, idleMs);
    const whole = setTimeout(
      () => fail(timedOut(what, 'next to nothing was sent or received', slowMs)),
      slowMs,
    );
    const settle = () => {
      clearTimeout(connecting);
      clearTimeout(whole);
      signal.removeEventListener('abort', onAbort);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    request.on('socket', (socket: Socket) => {
      if (request.reusedSocket) clearTimeout(connecting);
      else socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
    });
    request.setTimeout(idleMs, () => fail(timedOut(what, 'nothing was sent or received', idleMs)));
    request.on('error', (error) => {
      heedFailure(error);
      fail(unreachable(what, error));
    });
    request.on('response', (response) => {
      if (isEcho(response)) return fail(echoed(what));
      settle();
      request.setTimeout(0);
      resolve(response);
    });
    for (const chunk of body) request.write(chunk);
    request.end();
  });
}

/** How long a request may take until its answer begins. */
function slowestMs(body: readonly Uint8Array[], idleMs: number): number {
  const bytes = body.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return 2 * idleMs * (1 + bytes / LEAST_BYTES);
}

function echoed(what: string): S3Error {
  return new S3Error('the answer belongs to another request', {
    status: 0,
    detail: `${what}: the answer to the request before came a second time.`,
    hint: 'Something between here and the store repeats answers.',
    transient: true,
  });
}

function plainHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

/**
 * As of every put: reading a stream only to find its end takes 2 ms in a process that does it once. The connection can
 * be used again when the end is there. A store that sends a body all the same (Swift, with the answer to HEAD) may have
 * had its connection closed for that before anybody could listen.
 */
function noBody(response: http.IncomingMessage): AsyncIterable<Uint8Array> {
  const end = new Promise<{ done: true; value: undefined }>((resolve) => {
    const ended = () => resolve({ done: true, value: undefined });
    if (response.destroyed) return ended();
    response.once('end', ended).once('close', ended).resume();
  });
  return { [Symbol.asyncIterator]: () => ({ next: () => end }) };
}

async function* bodyOf(
  { what, method }: WireRequest,
  response: http.IncomingMessage,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const onAbort = () => response.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  const isSlow = method === 'GET' ? slowness(2 * idleMs, LEAST_BYTES) : slowness(LONGEST_IDLES * idleMs);
  let stalled = false;
  let timer: NodeJS.Timeout | undefined;
  let since = 0;
  // Armed only while a byte is waited for: a slow reader is not a slow store.
  const watch = () => {
    since = performance.now();
    timer = setTimeout(() => {
      stalled = true;
      response.destroy();
    }, idleMs);
  };
  try {
    signal.throwIfAborted();
    watch();
    for await (const chunk of response) {
      clearTimeout(timer);
      if (isSlow(chunk.byteLength, performance.now() - since)) throw tooSlow(what);
      yield chunk;
      watch();
    }
    if (!response.complete) throw new Error('the answer broke off');
  } catch (error) {
    signal.throwIfAborted();
    throw stalled ? timedOut(what, 'nothing was received', idleMs) : unreachable(what, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** True once less than `leastBytes` came in a window of so many milliseconds of waiting. */
function slowness(windowMs: number, leastBytes = Number.POSITIVE_INFINITY) {
  let bytes = 0;
  let waitedMs = 0;
  return (came: number, ms: number): boolean => {
    bytes += came;
    waitedMs += ms;
    if (waitedMs < windowMs) return false;
    const slow = bytes < leastBytes;
    bytes = 0;
    waitedMs = 0;
    return slow;
  };
}
