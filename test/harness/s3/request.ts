/** A request as the S3 server sees it, and the errors it answers with. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

export interface Received {
  readonly method: string;
  /** As it came, percent-encoded, without the query. */
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingHttpHeaders;
  readonly bucket: string;
  /** Decoded; empty for the bucket itself. */
  readonly key: string;
  readonly body: readonly Buffer[];
  /** SHA-256 of the body in hex, counted as it came in. */
  readonly bodyHash: string;
  /** The client's port: one for each connection. */
  readonly port: number | undefined;
}

/** An error of the store: status, code, message. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Further elements of the error document. */
  readonly elements: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message = 'refused by the test server',
    more: { headers?: Record<string, string>; elements?: Record<string, string> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = more.headers ?? {};
    this.elements = more.elements ?? {};
  }
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
}

export function header(request: Received, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

/** Splits the address; the bucket comes from the path, or from a Host that is longer than the server's own. */
export function parseAddress(message: IncomingMessage, serverHosts: readonly string[]) {
  const [rawPath = '/', rawQuery = ''] = (message.url ?? '/').split('?', 2);
  const host = (message.headers.host ?? '').replace(/:\d+$/, '');
  const parts = rawPath.split('/').slice(1).map(decodeURIComponent);
  const own = serverHosts.includes(host);
  const query = new Map(
    rawQuery
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => {
        const [name = '', value = ''] = pair.split('=', 2);
        return [decodeURIComponent(name), decodeURIComponent(value)] as const;
      }),
  );
  const bucket = own ? (parts.shift() ?? '') : (host.split('.')[0] ?? '');
  return { rawPath, rawQuery, query, bucket, key: parts.join('/') };
}

export function xml(root: string, content: string): Uint8Array[] {
  return [Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n<${root}>${content}</${root}>`)];
}

export function element(name: string, value: string | number | boolean): string {
  const text = String(value).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  return `<${name}>${text}</${name}>`;
}

export function elementOf(document: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`)
    .exec(document)?.[1]
    ?.replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;|&#34;/g, '"')
    .replace(/&apos;|&#39;/g, "'")
    .replace(/&#x([0-9A-Fa-f]+);/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replace(/&amp;/g, '&');
}
