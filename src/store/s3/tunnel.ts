/** https through a proxy (HTTPS_PROXY): a CONNECT tunnel for each connection, TLS inside it end to end. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { heedFailure } from './attempts.ts';
import { S3Error } from './failure.ts';
import { reasonOf } from './network-failure.ts';

/** `url` is of http or https, with or without user and password; `connectMs`: how long the proxy may say nothing. */
export interface Proxy {
  readonly url: string;
  readonly connectMs: number;
}

export function createTunnelAgent(proxy: Proxy, options: https.AgentOptions): https.Agent {
  return new TunnelAgent(proxy, options);
}

type Connected = (error: Error | null, socket: Duplex) => void;

class TunnelAgent extends https.Agent {
  readonly #proxy: URL;

  readonly #connectMs: number;

  constructor({ url, connectMs }: Proxy, options: https.AgentOptions) {
    super(options);
    this.#proxy = new URL(url);
    this.#connectMs = connectMs;
  }

  override createConnection(options: https.RequestOptions, connected?: Connected): undefined {
    const host = String(options.host);
    const target = `${host.includes(':') ? `[${host}]` : host}:${options.port}`;
    const request = this.#connect(target);
    const fail = (error: Error) => connected?.(error, request as never);
    // Whoever waits has given up by then; the connection would stay.
    const silent = new Error(`it said nothing for ${this.#connectMs / 1000} s`);
    request.setTimeout(this.#connectMs, () => request.destroy(silent));
    request.on('error', (error) => {
      heedFailure(error);
      fail(proxyFailure(this.#proxy, reasonOf(error), true));
    });
    request.on('connect', (answer: http.IncomingMessage, socket: Socket, more: Buffer) => {
      socket.setTimeout(0);
      // In a tunnel it is we who speak first; what comes with the answer is a page of the proxy's own.
      if (answer.statusCode === 200 && more.length === 0) {
        const server = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
        return connected?.(null, tls.connect({ ...tlsOptions(this.options), ...server, socket }));
      }
      socket.destroy();
      fail(
        proxyFailure(
          this.#proxy,
          `it answered CONNECT with ${answer.statusCode}${more.length > 0 ? ' and more' : ''}`,
          (answer.statusCode ?? 0) >= 500,
        ),
      );
    });
    request.end();
    return undefined;
  }

  #connect(target: string): http.ClientRequest {
    const { protocol, hostname, port, username, password } = this.#proxy;
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const authorization =
      username === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` };
    const secure = protocol === 'https:';
    return (secure ? https : http).request({
      method: 'CONNECT',
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (secure ? 443 : 80) : Number(port),
      path: target,
      headers: { host: target, ...authorization },
      agent: false,
    });
  }
}

function tlsOptions({ ca }: https.AgentOptions): tls.ConnectionOptions {
  return ca === undefined ? {} : { ca };
}

function proxyFailure({ host }: URL, reason: string, transient: boolean): S3Error {
  return new S3Error('the proxy does not let us through to the store', {
    status: 0,
    detail: `The proxy at ${host}: ${reason}.`,
    hint: 'Check HTTPS_PROXY, and NO_PROXY if the store can be reached without the proxy.',
    transient,
  });
}
