/** Where the server listens when PGHOST does not say: at a Unix socket, as psql assumes. */
import { existsSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { type ConnectionSettings, DEFAULT_PORT, type ServerAddress } from './connection-settings.ts';
import type { PostmasterFile } from './postmaster-file.ts';

/** `postmaster`: what the running server wrote into the data directory, in case the socket is in an unusual place. */
export function serverAddress(
  settings: ConnectionSettings,
  postmaster: PostmasterFile | undefined,
): ServerAddress {
  const port = settings.port ?? DEFAULT_PORT;
  const given = settings.hostAddress ?? settings.host;
  if (given !== undefined) return { host: given, port };
  const usual = settings.socketDirectories.find((directory) => hasSocket(directory, port));
  if (usual !== undefined) return { host: usual, port };
  const own = postmaster?.socketDirectory;
  const ownPort = settings.port ?? postmaster?.port;
  if (own !== undefined && ownPort !== undefined && hasSocket(own, ownPort))
    return { host: own, port: ownPort };
  throw new UserError('found no PostgreSQL server to connect to', {
    detail: `There is no Unix socket ".s.PGSQL.${port}" in ${settings.socketDirectories.join(' or ')}.`,
    hint: 'Set PGHOST and PGPORT; if the server is stopped on purpose, use --while-offline.',
  });
}

function hasSocket(directory: string, port: number): boolean {
  return existsSync(`${directory}/.s.PGSQL.${port}`);
}

/** Names under which the password file may list the server. */
export function passwordHosts(settings: ConnectionSettings, { host }: ServerAddress): string[] {
  if (settings.hostAddress !== undefined) return [settings.host ?? settings.hostAddress];
  const isUsual = settings.host === undefined || settings.socketDirectories.includes(host);
  return isUsual ? [host, 'localhost'] : [host];
}
