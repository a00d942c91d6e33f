/** What clouds offer on an address of their own: instance metadata (version 2 only), container credentials, STS. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface OfferedKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly token: string;
}

export interface MetadataServer {
  readonly url: string;
  /** Method and path of what was asked. */
  readonly asked: string[];
  /** The keys that are given from now on. */
  keys: OfferedKeys;
  /** When the keys that are given from now on expire. */
  expires: Date;
  close(): Promise<void>;
}

const SESSION = 'metadata-session';

export async function createMetadataServer(
  keys: OfferedKeys,
  tls?: { readonly key: string; readonly cert: string },
): Promise<MetadataServer> {
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    state.asked.push(`${request.method} ${request.url}`);
    const body = answerTo(request, state.keys, state.expires.toISOString().replace(/\.\d+/, ''));
    response.writeHead(body === undefined ? 404 : body === '' ? 401 : 200);
    response.end(body);
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const state: MetadataServer = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    keys,
    expires: new Date(Date.now() + 3_600_000),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

/** Undefined: not found; empty: not authorised. */
function answerTo(request: IncomingMessage, keys: OfferedKeys, expires: string): string | undefined {
  const { method, url, headers } = request;
  const roles = '/latest/meta-data/iam/security-credentials/';
  if (method === 'PUT' && url === '/latest/api/token') return SESSION;
  if (url?.startsWith(roles) && headers['x-aws-ec2-metadata-token'] !== SESSION) return '';
  if (url === roles) return 'archiver-role';
  if (url === `${roles}archiver-role`) return document(keys, expires);
  if (url === '/container')
    return headers.authorization === 'container-secret' ? document(keys, expires) : '';
  if (method === 'POST' && url === '/') return assumedRole(keys, expires);
  return undefined;
}

function document({ accessKeyId, secretAccessKey, token }: OfferedKeys, expires: string): string {
  return JSON.stringify({
    Code: 'Success',
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: token,
    Expiration: expires,
  });
}

function assumedRole({ accessKeyId, secretAccessKey, token }: OfferedKeys, expires: string): string {
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
    <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId>
    <SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${token}</SessionToken>
    <Expiration>${expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
  </AssumeRoleWithWebIdentityResponse>`;
}
