/** How to reach the PostgreSQL server: libpq's environment variables, as psql reads them. */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { SettingError } from '../errors.ts';
import type { ConnectionSettings, SslMode } from '../postgres/connection-settings.ts';
import type { Environment } from './settings.ts';

const SSL_MODES: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** Where packages put the server's Unix socket, in the order in which they are tried when PGHOST is not set. */
const SOCKET_DIRECTORIES: readonly string[] = ['/var/run/postgresql', '/tmp'];

/** libpq waits for ever, which nobody wants of a backup that cron starts; 0 means that here too. */
const CONNECT_SECONDS = 60;

export function libpqSettings(environment: Environment): ConnectionSettings {
  const given = (name: string) => environment[name] || undefined;
  if (given('PGSERVICE') !== undefined) {
    throw new SettingError('PGSERVICE is not supported', {
      hint: 'Set PGHOST, PGPORT, PGUSER and so on instead; passwords are read from .pgpass.',
    });
  }
  const home = given('HOME') ?? homedir();
  const file = (variable: string, name: string) => given(variable) ?? join(home, '.postgresql', name);
  return {
    host: given('PGHOST'),
    socketDirectories: SOCKET_DIRECTORIES,
    port: wholeNumber('PGPORT', given('PGPORT'), 1, 65535),
    user: given('PGUSER') ?? systemUser(),
    password: given('PGPASSWORD'),
    passwordFile: given('PGPASSFILE') ?? join(home, '.pgpass'),
    database: given('PGDATABASE') ?? 'postgres',
    options: given('PGOPTIONS'),
    connectTimeoutMs:
      1000 * (wholeNumber('PGCONNECT_TIMEOUT', given('PGCONNECT_TIMEOUT'), 0, 86_400) ?? CONNECT_SECONDS),
    ssl: {
      mode: sslMode(given('PGSSLMODE')),
      rootCertificate: file('PGSSLROOTCERT', 'root.crt'),
      certificate: file('PGSSLCERT', 'postgresql.crt'),
      key: file('PGSSLKEY', 'postgresql.key'),
    },
  };
}

function systemUser(): string {
  try {
    return userInfo().username;
  } catch (error) {
    throw new SettingError('the system does not know the name of the user who runs this', {
      hint: 'Set PGUSER.',
      cause: error,
    });
  }
}

function wholeNumber(
  name: string,
  value: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new SettingError(`${name} is not a number from ${least} to ${most}`, { detail: `It is "${value}".` });
}

function sslMode(value: string | undefined): SslMode {
  const mode = SSL_MODES.find((known) => known === (value ?? 'prefer'));
  if (mode !== undefined) return mode;
  throw new SettingError('PGSSLMODE is not known', {
    detail: `It is "${value}".`,
    hint: `It can be ${SSL_MODES.join(', ')}.`,
  });
}
