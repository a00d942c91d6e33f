/** The network between a backup and its server, which breaks: the server's socket is reached through a relay that we cut. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connect } from '../../../src/postgres/connection.ts';
import { libpqSettings } from '../../../src/settings/libpq.ts';
import { type ArchivedCluster, backupNames, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { poll } from '../../harness/poll.ts';
import { logEntries, startProgram } from '../../harness/program.ts';

let made: ArchivedCluster;
let relay: Server;
let environment: Record<string, string>;
const pairs: (readonly [Socket, Socket])[] = [];

beforeEach(async () => {
  made = await createArchivedCluster({ segmentMb: 1 });
  await made.cluster.start();
  relay = createServer((client) => {
    const server = connectSocket(join(made.cluster.socketDirectory, '.s.PGSQL.5432'));
    pairs.push([client, server]);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  environment = { ...made.environment, PGHOST: '127.0.0.1', PGPORT: String(port) };
});

afterEach(async () => {
  for (const [client, server] of pairs.splice(0)) {
    client.destroy();
    server.destroy();
  }
  await new Promise((resolve) => relay.close(resolve));
  await made.cluster.dispose();
});

it('a connection that is cut in the middle fails the backup in words, and the server ends it', async () => {
  const slow = ['--fast-checkpoint', '--cluster-read-rate-limit', '4000000'];
  const running = startProgram(['backup-push', ...slow, made.cluster.dataDirectory], { environment });
  await poll('the backup to start', () => running.stderr().includes('the backup has started'));
  for (const [client] of pairs) client.resetAndDestroy();
  const { status, stderr } = await running.finished;
  expect(status).toBe(1);
  expect(logEntries(stderr)).toContainEqual(
    expect.objectContaining({
      level: 'ERROR',
      message: 'lost the connection to PostgreSQL',
      hint: expect.stringContaining('start it again'),
    }),
  );
  expect(backupNames(made.archive)).toEqual([]);
  await poll('the server to forget the backup', async () =>
    /aborting backup/.test(await made.cluster.serverLog()),
  );
});

it('a server that has gone without a word is noticed by asking', async () => {
  const { port } = relay.address() as AddressInfo;
  const settings = libpqSettings(environment);
  const signal = new AbortController().signal;
  // Long enough for an answer on a busy machine.
  const heartbeat = { everyMs: 50, limitMs: 3000 };
  const session = await connect(settings, { host: '127.0.0.1', port }, signal, heartbeat);
  try {
    expect(await session.query('select 1 as one', [], signal)).toEqual([{ one: '1' }]);
    expect(session.lost.aborted).toBe(false);
    for (const [client, server] of pairs) {
      client.unpipe(server);
      server.unpipe(client);
    }
    await poll('the loss to be noticed', () => session.lost.aborted);
    expect(session.lost.reason).toMatchObject({
      message: 'lost the connection to PostgreSQL',
      detail: 'It did not answer for 3 s.',
    });
    await expect(session.query('select 1', [], signal)).rejects.toBe(session.lost.reason);
  } finally {
    await session.close();
  }
});
