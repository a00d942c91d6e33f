/**
 * The test server in the place of AWS itself, `bucket.s3.us-east-1.amazonaws.com`: what has no endpoint set goes there
 * by HTTPS_PROXY, with TLS end to end (AWS_CA_BUNDLE names the test authority), and faults can be done behind the TLS.
 */
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type ConnectProxy, createConnectProxy } from '../connect-proxy.ts';
import { createFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { createS3Server, type S3Server, TEST_ACCOUNT } from './server.ts';

export interface AwsStandIn {
  readonly server: S3Server;
  readonly faults: FaultProxy;
  /** What tunnels were asked for. */
  readonly asked: ConnectProxy['asked'];
  /** What an operator on AWS sets, and the two settings that lead here. */
  readonly environment: Record<string, string>;
  close(): Promise<void>;
}

const file = (name: string) => fileURLToPath(new URL(`../tls/${name}`, import.meta.url));

export async function createAwsStandIn(): Promise<AwsStandIn> {
  const server = await createS3Server();
  const faults = await createFaultProxy(server.url);
  const front = await createTlsFront(Number(new URL(faults.url).port));
  const proxy = await createConnectProxy(front.port);
  return {
    server,
    faults,
    asked: proxy.asked,
    environment: {
      AWS_ACCESS_KEY_ID: TEST_ACCOUNT.accessKeyId,
      AWS_SECRET_ACCESS_KEY: TEST_ACCOUNT.secretAccessKey,
      AWS_REGION: 'us-east-1',
      AWS_CA_BUNDLE: file('ca.pem'),
      HTTPS_PROXY: proxy.url,
    },
    async close() {
      await proxy.close();
      await front.close();
      await faults.close();
      await server.close();
    },
  };
}

/** Takes the TLS off and hands the rest on to a port of this machine. */
async function createTlsFront(to: number): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<TLSSocket>();
  const identity = { key: readFileSync(file('server.key')), cert: readFileSync(file('server.pem')) };
  const server = createServer(identity, (socket) => {
    sockets.add(socket);
    const inner = connect(to, '127.0.0.1');
    socket.on('error', () => inner.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      inner.destroy();
    });
    inner.on('error', () => socket.destroy());
    inner.on('close', () => socket.destroy());
    socket.pipe(inner).pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
