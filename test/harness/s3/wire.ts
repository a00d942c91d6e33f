/** Just enough of HTTP/1.1 on a socket for the fault proxy: whole requests in, whole answers out, byte for byte. */
import * as http from 'node:http';
import type { Socket } from 'node:net';

export interface RawRequest {
  /** Request line and headers, with the empty line. */
  readonly head: Buffer;
  readonly method: string;
  readonly target: string;
  readonly body: Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

const END = Buffer.from('\r\n\r\n');

/** The requests that arrive on a connection, one after the other; ends with the connection. */
export async function* requestsOn(socket: Socket): AsyncGenerator<RawRequest> {
  let held: Buffer[] = [];
  let size = 0;
  let head: Buffer | undefined;
  let total = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held.push(chunk);
    size += chunk.length;
    for (;;) {
      if (head === undefined) {
        held = [Buffer.concat(held)];
        head = headOf(held[0]);
        total = (head?.length ?? 0) + declaredLength(head);
      }
      if (head === undefined || size < total) break;
      const all = Buffer.concat(held);
      const [method = '', target = ''] = head.toString('latin1', 0, head.indexOf('\r\n')).split(' ');
      yield { head, method, target, body: all.subarray(head.length, total) };
      held = [all.subarray(total)];
      size -= total;
      head = undefined;
    }
  }
}

function headOf(bytes: Buffer = Buffer.alloc(0)): Buffer | undefined {
  const end = bytes.indexOf(END);
  return end < 0 ? undefined : bytes.subarray(0, end + END.length);
}

function declaredLength(head: Buffer | undefined): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head?.toString('latin1') ?? '')?.[1] ?? 0);
}

/** Hands a request on to the server behind, with the headers as they came. */
export function forward(target: URL, { head, method, target: path, body }: RawRequest): Promise<RawAnswer> {
  const lines = head.toString('latin1').trimEnd().split('\r\n').slice(1);
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: target.hostname,
      port: target.port,
      method,
      path,
      headers: headers.flat(),
      agent: false,
    });
    let headed = false;
    request.on('error', (error) => {
      if (!(headed && method === 'HEAD')) reject(error);
    });
    request.on('response', async (response) => {
      headed = true;
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of response) chunks.push(chunk);
      } catch (error) {
        // Swift sends a body with the answer to HEAD, which Node takes for rubbish.
        if (method !== 'HEAD') reject(error);
      }
      const pairs: [string, string][] = [];
      for (let i = 0; i < response.rawHeaders.length; i += 2) {
        pairs.push([response.rawHeaders[i] ?? '', response.rawHeaders[i + 1] ?? '']);
      }
      resolve({ status: response.statusCode ?? 0, headers: pairs, body: Buffer.concat(chunks) });
    });
    request.end(body);
  });
}

export function answerBytes({ status, headers, body }: RawAnswer): Buffer {
  // Chunked answers become plain ones, whose length must be told.
  const told = headers.some(([name]) => /^content-length$/i.test(name)) || status === 204;
  const length = told ? [] : ([['content-length', String(body.length)]] as const);
  const lines = [...headers, ...length]
    .filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/i.test(name))
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Fault\r\n${lines.join('')}\r\n`, 'latin1'), body]);
}
