import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ArchivedCluster, createArchivedCluster } from '../../harness/archived-cluster.ts';
import { logEntries, runProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';

const tls = (name: string) => fileURLToPath(new URL(`../../harness/tls/${name}`, import.meta.url));
const SSL_REQUEST = 80877103;

let made: ArchivedCluster;
const relays: Server[] = [];

beforeAll(async () => {
  made = await createArchivedCluster({ segmentMb: 1 });
  const hba = join(made.cluster.dataDirectory, 'pg_hba.conf');
  writeFileSync(hba, 'local all backup scram-sha-256\nlocal all all trust\n');
  await made.cluster.start();
  await made.cluster.query(
    "set password_encryption = 'scram-sha-256'; create role backup superuser login password 'se:cr\\et'",
  );
});

afterEach(async () => {
  for (const relay of relays.splice(0)) await new Promise((resolve) => relay.close(resolve));
});

afterAll(async () => {
  await made.cluster.dispose();
});

/** The server on 127.0.0.1; with `encrypted`, behind TLS that is begun as PostgreSQL's protocol has it. */
async function relay(encrypted: boolean): Promise<string> {
  const server = createServer((client) => void pass(client, encrypted));
  relays.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

async function pass(client: Socket, encrypted: boolean): Promise<void> {
  client.on('error', () => undefined);
  let plain: Socket = client;
  if (encrypted) {
    const [request] = (await once(client, 'data')) as [Buffer];
    if (request.readInt32BE(4) !== SSL_REQUEST) return void client.destroy();
    client.write('S');
    const identity = { cert: readFileSync(tls('server.pem')), key: readFileSync(tls('server.key')) };
    plain = new TLSSocket(client, { isServer: true, ...identity });
    plain.on('error', () => client.destroy());
  }
  const server = connect(join(made.cluster.socketDirectory, '.s.PGSQL.5432'));
  server.on('error', () => plain.destroy());
  plain.on('close', () => server.destroy());
  server.on('close', () => plain.destroy());
  plain.pipe(server).pipe(plain);
}

async function attempt(environment: Readonly<Record<string, string>>, options = ['--fast-checkpoint']) {
  const run = await runProgram(['backup-push', '--no-wal-check', ...options, made.cluster.dataDirectory], {
    environment: { ...made.environment, HOME: createScratch(), ...environment },
  });
  return { status: run.status, stderr: run.stderr, ...logEntries(run.stderr).at(-1) };
}

const connected = { status: 0, message: 'the base backup is complete' };

describe('a password', () => {
  it('comes from PGPASSWORD or from the password file, which knows the socket’s folder', async () => {
    expect(await attempt({ PGUSER: 'backup', PGPASSWORD: 'se:cr\\et' })).toMatchObject(connected);
    const HOME = createScratch();
    const line = `${made.cluster.socketDirectory}:*:postgres:backup:se\\:cr\\\\et\n`;
    writeFileSync(join(HOME, '.pgpass'), line, { mode: 0o600 });
    expect(await attempt({ PGUSER: 'backup', HOME })).toMatchObject(connected);
  });

  it('is not read from a file that others may read, which is told when the server wants one', async () => {
    const HOME = createScratch();
    writeFileSync(join(HOME, '.pgpass'), '*:*:*:*:se\\:cr\\\\et\n', { mode: 0o644 });
    expect(await attempt({ HOME })).toMatchObject(connected);
    expect(await attempt({ PGUSER: 'backup', HOME })).toMatchObject({
      status: 1,
      message: 'could not connect to PostgreSQL',
      hint: expect.stringContaining(`others may read "${HOME}/.pgpass": chmod 0600`),
    });
  });

  it('that is missing or wrong is said to be, and is never shown', async () => {
    for (const PGPASSWORD of ['', 'a wrong one']) {
      const refused = await attempt({ PGUSER: 'backup', PGPASSWORD });
      expect(refused).toMatchObject({
        status: 1,
        message: 'could not connect to PostgreSQL',
        hint: expect.stringContaining('PGPASSWORD'),
      });
      expect(refused.stderr).not.toContain('a wrong one');
    }
  });
});

describe('a role whose settings end what takes long', () => {
  it('backs up all the same, also while it waits for a checkpoint that is spread', async () => {
    const limits = ['statement_timeout', 'transaction_timeout', 'lock_timeout', 'idle_session_timeout'];
    await made.cluster.query(
      `create role hurried superuser login;
      ${limits.map((name) => `alter role hurried set ${name} = 500;`).join('\n')}
      create table dirtied as select g, repeat('x', 900) as filler from generate_series(1, 200) as g`,
    );
    // At this pace a checkpoint writes ten pages a second.
    await made.cluster.configure({ checkpoint_timeout: '30s', checkpoint_completion_target: '0.1' });
    const pushed = await attempt({ PGUSER: 'hurried' }, []);
    expect(pushed).toMatchObject(connected);
    const seconds = Number(/ seconds=(\d+)/.exec(pushed.stderr)?.[1]);
    expect(seconds, 'the checkpoint took longer than the limit').toBeGreaterThanOrEqual(1);
  });
});

describe('a server that is not named', () => {
  it('is found by its Unix socket, wherever that is', async () => {
    for (const PGHOST of ['', made.cluster.socketDirectory])
      expect(await attempt({ PGHOST, PGPORT: '' })).toMatchObject(connected);
  });
});

describe('a server that does not answer', () => {
  it('is given up after PGCONNECT_TIMEOUT', async () => {
    const silent = createServer((client) => client.resume().on('error', () => undefined));
    relays.push(silent);
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const PGPORT = String((silent.address() as AddressInfo).port);
    expect(await attempt({ PGHOST: '127.0.0.1', PGPORT, PGCONNECT_TIMEOUT: '1' })).toMatchObject({
      status: 1,
      message: 'could not connect to PostgreSQL',
      detail: expect.stringContaining('timeout'),
    });
  });
});

describe('encryption', () => {
  it('is not needed by default, and refused to be done without when it is demanded', async () => {
    const PGPORT = await relay(false);
    expect(await attempt({ PGHOST: '127.0.0.1', PGPORT })).toMatchObject(connected);
    expect(await attempt({ PGHOST: '127.0.0.1', PGPORT, PGSSLMODE: 'require' })).toMatchObject({
      status: 1,
      detail: expect.stringContaining('does not support SSL'),
    });
  });

  it('is used where there is, and verified when a root certificate is given', async () => {
    const address = { PGHOST: 'localhost', PGPORT: await relay(true) };
    expect(await attempt(address)).toMatchObject(connected);
    const trusted = { ...address, PGSSLMODE: 'verify-full', PGSSLROOTCERT: tls('ca.pem') };
    expect(await attempt(trusted)).toMatchObject(connected);
    expect(await attempt({ ...trusted, PGHOST: 'localhost.localdomain' })).toMatchObject({ status: 1 });
    expect(await attempt({ ...trusted, PGHOST: '127.0.0.1' })).toMatchObject(connected);
    expect(await attempt({ ...trusted, PGHOSTADDR: '127.0.0.1' })).toMatchObject(connected);
    const elsewhere = { ...trusted, PGHOST: 'elsewhere.example', PGHOSTADDR: '127.0.0.1' };
    expect(await attempt(elsewhere)).toMatchObject({ status: 1, detail: expect.stringContaining('altname') });
    expect(await attempt({ ...elsewhere, PGSSLMODE: 'verify-ca' })).toMatchObject(connected);
    expect((await attempt({ ...trusted, PGSSLROOTCERT: '/nowhere' })).message).toContain(
      'no root certificate',
    );
  });
});
