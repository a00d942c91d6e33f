import { describe, expect, it } from 'vitest';
import { SettingError } from '../../src/errors.ts';
import { fastCheckpoint } from '../../src/settings/backup.ts';
import { libpqSettings } from '../../src/settings/libpq.ts';

const HOME = '/home/somebody';

describe('how to reach the server', () => {
  it('is what libpq’s variables say', () => {
    const settings = libpqSettings({
      ...{
        HOME,
        PGHOST: 'db.example',
        PGPORT: '6543',
        PGUSER: 'backup',
        PGPASSWORD: 'secret',
        PGDATABASE: 'app',
      },
      ...{
        PGSSLMODE: 'verify-full',
        PGOPTIONS: '-c geqo=off',
        PGPASSFILE: '/etc/pgpass',
        PGCONNECT_TIMEOUT: '7',
      },
      PGSSLROOTCERT: '/etc/root.crt',
    });
    expect(settings).toMatchObject({
      ...{ host: 'db.example', port: 6543, user: 'backup', password: 'secret', database: 'app' },
      ...{ options: '-c geqo=off', passwordFile: '/etc/pgpass', connectTimeoutMs: 7000 },
      ssl: {
        mode: 'verify-full',
        rootCertificate: '/etc/root.crt',
        key: `${HOME}/.postgresql/postgresql.key`,
      },
    });
  });

  it('is a Unix socket, the database postgres and ~/.pgpass when they say nothing; empty is nothing', () => {
    expect(libpqSettings({ HOME, PGHOST: '', PGPORT: '', PGUSER: 'x' })).toMatchObject({
      host: undefined,
      port: undefined,
      socketDirectories: ['/var/run/postgresql', '/tmp'],
      database: 'postgres',
      password: undefined,
      passwordFile: `${HOME}/.pgpass`,
      connectTimeoutMs: 60_000,
      ssl: { mode: 'prefer' },
    });
    expect(libpqSettings({ HOME }).user).not.toBe('');
  });

  it.each([
    { PGPORT: '0' },
    { PGPORT: '65536' },
    { PGPORT: 'http' },
    { PGSSLMODE: 'always' },
    { PGCONNECT_TIMEOUT: '-1' },
    { PGSERVICE: 'main' },
    { PGHOSTADDR: 'db.example' },
    { PGREQUIREAUTH: 'scram-sha-256' },
    { PGCHANNELBINDING: 'require' },
    { PGGSSENCMODE: 'require' },
    { PGSSLCRL: '/etc/crl.pem' },
    { PGSSLMINPROTOCOLVERSION: 'TLSv1.3' },
    { PGTARGETSESSIONATTRS: 'read-write' },
    { PGSSLROOTCERT: 'system', PGSSLMODE: 'require' },
  ])('is refused when it cannot be: %o', (environment) => {
    expect(() => libpqSettings({ HOME, ...environment })).toThrow(SettingError);
  });

  it('may say what is so anyway', () => {
    const harmless = {
      PGCHANNELBINDING: 'prefer',
      PGGSSENCMODE: 'disable',
      PGSSLMINPROTOCOLVERSION: 'TLSv1.2',
    };
    expect(libpqSettings({ HOME, ...harmless, PGTARGETSESSIONATTRS: 'any' }).ssl.mode).toBe('prefer');
  });

  it('is verified in full against the authorities that everybody trusts', () => {
    expect(libpqSettings({ HOME, PGSSLROOTCERT: 'system' }).ssl).toMatchObject({
      mode: 'verify-full',
      rootCertificate: 'system',
    });
  });
});

describe('a fast checkpoint', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['0', false],
    ['1', true],
    ['True', true],
    ['on', true],
  ])('WALE_FAST_CHECKPOINT=%s means %s', (value, expected) => {
    expect(fastCheckpoint({ WALE_FAST_CHECKPOINT: value })).toBe(expected);
  });

  it('is not guessed at', () => {
    expect(() => fastCheckpoint({ WALE_FAST_CHECKPOINT: 'maybe' })).toThrow(SettingError);
  });
});
