/** How to reach the PostgreSQL server: libpq's environment variables, as psql reads them. */
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { SettingError } from '../errors.ts';
import type { ConnectionSettings, SslMode } from '../postgres/connection-settings.ts';
import { homeFolder } from './home.ts';
import type { Environment } from './settings.ts';

const SSL_MODES: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** Where packages put the server's Unix socket, in the order in which they are tried when PGHOST is not set. */
const SOCKET_DIRECTORIES: readonly string[] = ['/var/run/postgresql', '/tmp'];

/** libpq waits for ever, which nobody wants of a backup that cron starts; 0 means that here too. */
const CONNECT_SECONDS = 60;

/**
 * What changes whom we speak to, or how safely, and is not honoured: doing without it silently would be wrong. With the
 * values that change nothing.
 */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  PGSERVICE: [],
  PGREQUIREAUTH: [],
  PGCHANNELBINDING: ['disable', 'prefer'],
  PGGSSENCMODE: ['disable', 'prefer'],
  PGSSLCRL: [],
  PGSSLCRLDIR: [],
  PGSSLMINPROTOCOLVERSION: ['TLSv1', 'TLSv1.1', 'TLSv1.2'],
  PGTARGETSESSIONATTRS: ['any'],
};

export function libpqSettings(environment: Environment): ConnectionSettings {
  const given = (name: string) => environment[name] || undefined;
  refuseUnsupported(given);
  const home = given('HOME') ?? homeFolder();
  const file = (variable: string, name: string) => given(variable) ?? join(home, '.postgresql', name);
  return {
    host: given('PGHOST'),
    hostAddress: hostAddress(given('PGHOSTADDR')),
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
      mode: sslMode(given('PGSSLMODE'), given('PGSSLROOTCERT')),
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

function refuseUnsupported(given: (name: string) => string | undefined): void {
  for (const [name, harmless] of Object.entries(REFUSED)) {
    const value = given(name);
    if (value === undefined || harmless.includes(value)) continue;
    throw new SettingError(`${name} is not supported`, {
      detail: harmless.length > 0 ? `It can only be ${harmless.join(' or ')}.` : undefined,
      hint: 'Set PGHOST, PGPORT, PGUSER, PGSSLMODE and so on instead; passwords are read from .pgpass.',
    });
  }
}

function hostAddress(value: string | undefined): string | undefined {
  if (value === undefined || isIP(value) !== 0) return value;
  throw new SettingError('PGHOSTADDR is not an IP address', {
    detail: `It is "${value}".`,
    hint: 'Names belong in PGHOST.',
  });
}

/** With the authorities that everybody trusts, anything less than the full check would check nothing: as libpq has it. */
function sslMode(value: string | undefined, rootCertificate: string | undefined): SslMode {
  const isSystem = rootCertificate === 'system';
  const mode = SSL_MODES.find((known) => known === (value ?? (isSystem ? 'verify-full' : 'prefer')));
  if (isSystem && mode !== undefined && mode !== 'verify-full') {
    throw new SettingError(`PGSSLROOTCERT=system needs PGSSLMODE=verify-full, not ${mode}`);
  }
  if (mode !== undefined) return mode;
  throw new SettingError('PGSSLMODE is not known', {
    detail: `It is "${value}".`,
    hint: `It can be ${SSL_MODES.join(', ')}.`,
  });
}
