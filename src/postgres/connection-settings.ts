/** What a connection to a server needs to know; `settings/libpq.ts` reads it from the environment. */

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export interface SslSettings {
  readonly mode: SslMode;
  /** Files; those that do not exist are not used, unless the mode demands them. */
  readonly rootCertificate: string;
  readonly certificate: string;
  readonly key: string;
}

export interface ConnectionSettings {
  /** A name, an address, or a folder with the server's Unix socket; undefined: look for a Unix socket. */
  readonly host: string | undefined;
  /** An IP address to connect to instead of asking for that of `host`, which stays the server's name. */
  readonly hostAddress: string | undefined;
  /** Folders to look for it in. */
  readonly socketDirectories: readonly string[];
  /** undefined: 5432, or that of the Unix socket that was found. */
  readonly port: number | undefined;
  readonly user: string;
  readonly password: string | undefined;
  /** Where passwords are when none is given. */
  readonly passwordFile: string;
  readonly database: string;
  /** Command-line options for the server's process (PGOPTIONS). */
  readonly options: string | undefined;
  /** 0: as long as the system tries. */
  readonly connectTimeoutMs: number;
  readonly ssl: SslSettings;
}

export const DEFAULT_PORT = 5432;

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}
