/** What PGSSLMODE and its certificates mean for a connection, as libpq's documentation has it. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { SettingError } from '../errors.ts';
import type { SslSettings } from './connection-settings.ts';

/**
 * Ways to try, in order, until one connects: `false` is without TLS. `name` is what the server's certificate must be for;
 * where it is not given, that is `host`.
 */
export function tlsAttempts(
  host: string,
  ssl: SslSettings,
  name: string | undefined,
): (ConnectionOptions | false)[] {
  if (host.startsWith('/') || ssl.mode === 'disable') return [false];
  const identity = name === undefined ? {} : { host: name, ...(isIP(name) === 0 && { servername: name }) };
  const options = { ...tlsOptions(ssl), ...identity };
  if (ssl.mode === 'allow') return [false, options];
  return ssl.mode === 'prefer' ? [options, false] : [options];
}

function tlsOptions({ mode, ...files }: SslSettings): ConnectionOptions {
  const hasRoot = existsSync(files.rootCertificate);
  const verifies = mode === 'verify-ca' || mode === 'verify-full';
  if (verifies && !hasRoot && files.rootCertificate !== 'system') {
    throw new SettingError(`PGSSLMODE is ${mode}, but there is no root certificate to verify with`, {
      detail: `There is no file "${files.rootCertificate}".`,
      hint: 'Put the certificate of the authority there, or name its file in PGSSLROOTCERT.',
    });
  }
  return {
    // With a root certificate at hand, `require` verifies as `verify-ca` does, for libpq does so too.
    rejectUnauthorized: verifies || (mode === 'require' && hasRoot),
    ...(hasRoot && { ca: readFileSync(files.rootCertificate) }),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(existsSync(files.certificate) && {
      cert: readFileSync(files.certificate),
      key: readFileSync(files.key),
    }),
  };
}
