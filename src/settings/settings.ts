/**
 * Everything the environment and the global options can say, read once at the start and handed down. `process.env`
 * is touched by main and nobody else (the SDK's own credential chain excepted). Each room's settings have their own
 * file here, a pure function of the environment; reading never fails for what the command does not use.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

/** Global options as typed on the command line; each wins over its variable. */
export interface GlobalOptions {
  readonly awsAccessKeyId?: string | undefined;
  readonly awsInstanceProfile?: boolean | undefined;
  readonly s3Prefix?: string | undefined;
  readonly wabsPrefix?: string | undefined;
  readonly gsPrefix?: string | undefined;
  readonly filePrefix?: string | undefined;
  readonly gpgKeyId?: string | undefined;
  readonly terse?: boolean | undefined;
  /** Its variables are in the environment already; the name is for commands that tell others how to start this program. */
  readonly envdir?: string | undefined;
}

export interface Settings {
  readonly environment: Environment;
  readonly options: GlobalOptions;
}
