import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPostmasterFile } from '../../src/postgres/postmaster-file.ts';
import { passwordHosts, serverAddress } from '../../src/postgres/server-address.ts';
import { tlsAttempts } from '../../src/postgres/tls.ts';
import { libpqSettings } from '../../src/settings/libpq.ts';
import { createScratch } from '../harness/scratch.ts';

function withSocket(port: number): string {
  const folder = createScratch();
  writeFileSync(join(folder, `.s.PGSQL.${port}`), '');
  return folder;
}

const settings = (environment: Record<string, string>, socketDirectories: string[]) => ({
  ...libpqSettings({ HOME: '/nowhere', PGUSER: 'x', ...environment }),
  socketDirectories,
});

describe('the server’s address', () => {
  it('is PGHOST and PGPORT when they are set', () => {
    expect(serverAddress(settings({ PGHOST: 'db', PGPORT: '7' }, []), undefined)).toEqual({
      host: 'db',
      port: 7,
    });
    expect(serverAddress(settings({ PGHOST: 'db' }, []), undefined)).toEqual({ host: 'db', port: 5432 });
  });

  it('is PGHOSTADDR when that is set; PGHOST stays the name, for passwords and certificates', () => {
    const both = settings({ PGHOST: 'db', PGHOSTADDR: '10.0.0.1' }, []);
    const address = serverAddress(both, undefined);
    expect(address).toEqual({ host: '10.0.0.1', port: 5432 });
    expect(passwordHosts(both, address)).toEqual(['db']);
    expect(tlsAttempts('10.0.0.1', { ...both.ssl, mode: 'require' }, both.host)).toMatchObject([
      { host: 'db', servername: 'db' },
    ]);
    const alone = settings({ PGHOSTADDR: '::1' }, ['/s']);
    expect(serverAddress(alone, undefined)).toEqual({ host: '::1', port: 5432 });
    expect(passwordHosts(alone, { host: '::1', port: 5432 })).toEqual(['::1']);
  });

  it('is the first of the usual folders that has the socket', () => {
    const [empty, first, second] = [createScratch(), withSocket(5432), withSocket(5432)];
    expect(serverAddress(settings({}, [empty, first, second]), undefined)).toEqual({
      host: first,
      port: 5432,
    });
    expect(() => serverAddress(settings({ PGPORT: '5433' }, [first]), undefined)).toThrow(
      'found no PostgreSQL server',
    );
  });

  it('is where the server of the data directory says that it listens, when the usual folders have none', async () => {
    const own = withSocket(5544);
    const data = createScratch();
    writeFileSync(
      join(data, 'postmaster.pid'),
      `123\n${data}\n1700000000\n5544\n${own}\n\n  123 456\nready   \n`,
    );
    const postmaster = await readPostmasterFile(data);
    expect(postmaster).toEqual({ pid: 123, port: 5544, socketDirectory: own });
    expect(serverAddress(settings({}, [createScratch()]), postmaster)).toEqual({ host: own, port: 5544 });
    expect(await readPostmasterFile(createScratch())).toBeUndefined();
  });

  it('is called localhost in the password file when it is a usual socket', () => {
    expect(passwordHosts(settings({}, ['/s']), { host: '/s', port: 1 })).toEqual(['/s', 'localhost']);
    expect(passwordHosts(settings({ PGHOST: '/t' }, ['/s']), { host: '/t', port: 1 })).toEqual(['/t']);
    expect(passwordHosts(settings({ PGHOST: 'db' }, ['/s']), { host: 'db', port: 1 })).toEqual(['db']);
  });
});

describe('encryption of the connection', () => {
  const ssl = (mode: string) => libpqSettings({ HOME: '/nowhere', PGUSER: 'x', PGSSLMODE: mode }).ssl;

  it.each([
    ['disable', [false]],
    ['allow', [false, { rejectUnauthorized: false }]],
    ['prefer', [{ rejectUnauthorized: false }, false]],
    ['require', [{ rejectUnauthorized: false }]],
  ])('with PGSSLMODE=%s is tried as libpq does', (mode, attempts) => {
    expect(tlsAttempts('db', ssl(mode), 'db')).toMatchObject(attempts);
    expect(tlsAttempts('/socket', ssl(mode), '/socket')).toEqual([false]);
  });

  it('verifies only against a root certificate', () => {
    expect(() => tlsAttempts('db', ssl('verify-full'), 'db')).toThrow('no root certificate');
    const root = join(createScratch(), 'root.crt');
    writeFileSync(root, 'certificate');
    const [verifyCa] = tlsAttempts('db', { ...ssl('verify-ca'), rootCertificate: root }, 'db');
    const [verifyFull] = tlsAttempts('db', { ...ssl('verify-full'), rootCertificate: root }, 'db');
    expect(verifyCa).toMatchObject({ rejectUnauthorized: true, checkServerIdentity: expect.any(Function) });
    expect(verifyFull).toMatchObject({ rejectUnauthorized: true });
    expect(verifyFull).not.toHaveProperty('checkServerIdentity');
  });
});
