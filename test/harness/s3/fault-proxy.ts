/** A proxy between client and store that breaks what it is told to break. Every fault is what a network or a proxy can do. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { answerBytes, forward, type RawAnswer, type RawRequest, requestsOn } from './wire.ts';

export type Fault =
  /** The connection is reset; the request never reaches the store. */
  | { readonly kind: 'reset-before' }
  /** The store does what was asked; the connection is reset after so many bytes of the answer (headers included). */
  | { readonly kind: 'reset-after'; readonly bytes: number }
  /** The same, but the connection is closed as if all were well. */
  | { readonly kind: 'close-after'; readonly bytes: number }
  /** Nothing is ever answered; the request does not reach the store. */
  | { readonly kind: 'silence' }
  /** The answer stops after so many bytes and never goes on. */
  | { readonly kind: 'stall-after'; readonly bytes: number }
  /** The answer comes in pieces of `bytes` every `everyMs`. */
  | { readonly kind: 'trickle'; readonly bytes: number; readonly everyMs: number }
  /** The answer comes later. */
  | { readonly kind: 'late'; readonly ms: number }
  /** The answer comes when this has come about. */
  | { readonly kind: 'held'; readonly until: Promise<unknown> }
  /** The proxy answers itself; the request does not reach the store. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code?: string;
      readonly headers?: Record<string, string>;
    }
  /** One byte of the body is another when it reaches the store. */
  | { readonly kind: 'alter-up'; readonly at: number }
  /** The body that reaches the store lacks its end, and is declared to be as short as it is. */
  | { readonly kind: 'truncate-up'; readonly bytes: number }
  /** One byte of the body is another when it reaches the client. */
  | { readonly kind: 'alter-down'; readonly at: number }
  /** The answer's body lacks its end, and is declared to be as short as it is. */
  | { readonly kind: 'truncate-down'; readonly bytes: number }
  /** The answer comes twice. */
  | { readonly kind: 'duplicate' }
  /** The answer has another header. */
  | { readonly kind: 'header'; readonly name: string; readonly value: string };

/** Decides for each request; `number` counts the requests from 0. */
export type Plan = (request: RawRequest, number: number) => Fault | undefined;

export interface FaultProxy {
  readonly url: string;
  /** How often a fault was done, and how many requests there were. */
  readonly done: { faults: number; requests: number };
  plan: Plan;
  close(): Promise<void>;
}

export async function createFaultProxy(target: string, plan: Plan = () => undefined): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const done = { faults: 0, requests: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket).catch(() => socket.destroy());
  });
  const serve = async (socket: Socket) => {
    for await (const request of requestsOn(socket)) {
      const fault = proxy.plan(request, done.requests);
      done.requests += 1;
      if (fault !== undefined) done.faults += 1;
      await answer(socket, new URL(target), request, fault);
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${port}`,
    done,
    plan,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

async function answer(socket: Socket, target: URL, request: RawRequest, fault?: Fault): Promise<void> {
  if (fault?.kind === 'reset-before') return void socket.resetAndDestroy();
  if (fault?.kind === 'silence') return;
  if (fault?.kind === 'answer') return void socket.write(answerBytes(ownAnswer(fault, request.method)));
  const sent = answerBytes(changedDown(await forward(target, changedUp(request, fault)), fault));
  switch (fault?.kind) {
    case 'reset-after':
      return void socket.write(sent.subarray(0, fault.bytes), () => socket.resetAndDestroy());
    case 'close-after':
      return void socket.end(sent.subarray(0, fault.bytes));
    case 'stall-after':
      return void socket.write(sent.subarray(0, fault.bytes));
    case 'trickle':
      return trickle(socket, sent, fault.bytes, fault.everyMs);
    case 'late':
      await later(fault.ms);
      return void socket.write(sent);
    case 'held':
      await fault.until;
      return void socket.write(sent);
    case 'duplicate':
      return void socket.write(Buffer.concat([sent, sent]));
    default:
      socket.write(sent);
  }
}

function ownAnswer(
  { status, code, headers = {} }: Extract<Fault, { kind: 'answer' }>,
  method: string,
): RawAnswer {
  const body = Buffer.from(
    code === undefined ? '' : `<Error><Code>${code}</Code><Message>by the proxy</Message></Error>`,
  );
  const all = [...Object.entries(headers), ['content-length', String(body.length)] as const];
  return { status, headers: all, body: method === 'HEAD' ? Buffer.alloc(0) : body };
}

function changedUp(request: RawRequest, fault?: Fault): RawRequest {
  if (fault?.kind === 'alter-up') return { ...request, body: altered(request.body, fault.at) };
  if (fault?.kind !== 'truncate-up') return request;
  const body = request.body.subarray(0, fault.bytes);
  const head = request.head.toString('latin1').replace(/(\r\ncontent-length: *)\d+/i, `$1${body.length}`);
  return { ...request, head: Buffer.from(head, 'latin1'), body };
}

function changedDown(answered: RawAnswer, fault?: Fault): RawAnswer {
  if (fault?.kind === 'alter-down') return { ...answered, body: altered(answered.body, fault.at) };
  if (fault?.kind === 'header') return withHeader(answered, fault.name, fault.value);
  if (fault?.kind !== 'truncate-down') return answered;
  const body = answered.body.subarray(0, fault.bytes);
  return withHeader({ ...answered, body }, 'content-length', String(body.length));
}

function withHeader(answered: RawAnswer, name: string, value: string): RawAnswer {
  const others = answered.headers.filter(([other]) => other.toLowerCase() !== name);
  return { ...answered, headers: [...others, [name, value]] };
}

function altered(body: Buffer, at: number): Buffer {
  const copy = Buffer.from(body);
  if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ 0x20;
  return copy;
}

async function trickle(socket: Socket, bytes: Buffer, size: number, everyMs: number): Promise<void> {
  for (let i = 0; i < bytes.length && !socket.destroyed; i += size) {
    socket.write(bytes.subarray(i, i + size));
    await later(everyMs);
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
