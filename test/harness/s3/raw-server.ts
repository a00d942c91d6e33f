/** A server that answers whole requests with whatever bytes it is told to, right or wrong. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type RawRequest, requestsOn } from './wire.ts';

/** Writes to the socket what it likes; `number` counts the requests from 0. */
export type RawAnswering = (socket: Socket, request: RawRequest, number: number) => void;

export interface RawServer {
  readonly url: string;
  readonly port: number;
  /** Method and target of what came in. */
  readonly asked: string[];
  /** Connections that are open. */
  readonly open: ReadonlySet<Socket>;
  answering: RawAnswering;
  close(): Promise<void>;
}

export async function createRawServer(answering: RawAnswering): Promise<RawServer> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    serve(socket).catch(() => socket.destroy());
  });
  const serve = async (socket: Socket) => {
    for await (const request of requestsOn(socket)) {
      raw.asked.push(`${request.method} ${request.target}`);
      raw.answering(socket, request, raw.asked.length - 1);
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const raw: RawServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    asked: [],
    open,
    answering,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return raw;
}

/** The bytes of an answer; the length is told unless the headers tell one, or that it comes in chunks. */
export function rawAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array = '',
): Buffer {
  const bytes = Buffer.from(body);
  const told = 'content-length' in headers || 'transfer-encoding' in headers;
  const all = { ...(told ? {} : { 'content-length': String(bytes.length) }), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Raw\r\n${lines.join('')}\r\n`), bytes]);
}
