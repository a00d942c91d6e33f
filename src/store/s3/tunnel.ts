/** https through a proxy (HTTPS_PROXY): a CONNECT tunnel for each connection, TLS inside it end to end. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { S3Error } from './failure.ts';

/** `proxy` is an http or https URL, with or without user and password. */
export function createTunnelAgent(proxy: string, options: https.AgentOptions): https.Agent {
  return new TunnelAgent(new URL(proxy), options);
}

const CONNECT_MS = 10_000;

type Connected = (error: Error | null, socket: Duplex) => void;

class TunnelAgent extends https.Agent {
  readonly #proxy: URL;

  constructor(proxy: URL, options: https.AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(options: https.RequestOptions, connected?: Connected): undefined {
    const host = String(options.host);
    const target = `${host.includes(':') ? `[${host}]` : host}:${options.port}`;
    const request = this.#connect(target);
    const fail = (error: Error) => connected?.(error, request as never);
    // Whoever waits has given up by then; the connection would stay.
    request.setTimeout(CONNECT_MS, () =>
      request.destroy(new Error(`it said nothing for ${CONNECT_MS / 1000} s`)),
    );
    request.on('error', (error) => fail(proxyFailure(this.#proxy, error.message, true)));
    request.on('connect', (answer: http.IncomingMessage, socket: Socket) => {
      if (answer.statusCode === 200) {
        const server = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
        return connected?.(null, tls.connect({ ...tlsOptions(this.options), ...server, socket }));
      }
      socket.destroy();
      fail(
        proxyFailure(
          this.#proxy,
          `it answered CONNECT with ${answer.statusCode}`,
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
