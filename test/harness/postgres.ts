/**
 * Throwaway PostgreSQL servers, of any major version from 10 to 18. Each has a folder, a socket and settings of its
 * own, listens on no network address, and is gone with its folder after `dispose`, or when the test process dies.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, serverAccount } from './account.ts';
import { poll } from './poll.ts';
import { createScratch, stopAtExit } from './scratch.ts';
import { NEWEST_POSTGRES, nodeFolder, stagePostgres } from './staging.ts';

export interface ServerOptions {
  /** Major version, 10 to 18; the newest when left out. */
  readonly version?: number | undefined;
  /** For postgresql.conf; they win over the harness's own. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

export interface ClusterOptions extends ServerOptions {
  readonly initdbArguments?: readonly string[] | undefined;
  /** WAL segment size in MB; 16 is the only one before PostgreSQL 11. */
  readonly segmentMb?: number | undefined;
  /**
   * A copy of the first such cluster of this process, which takes a tenth of initdb's time: for tests that do not mind
   * clusters with the same system identifier.
   */
  readonly sameSystem?: boolean | undefined;
  /** Names; each is created at the first start, in a folder of its own (`tablespaceDirectory`). */
  readonly tablespaces?: readonly string[] | undefined;
}

export type StopMode = 'smart' | 'fast' | 'immediate' | 'kill';

export interface Cluster {
  readonly version: number;
  readonly dataDirectory: string;
  /** `pg_wal`, or `pg_xlog` if this should ever run something older. */
  readonly walDirectory: string;
  /** The folder that holds everything of this cluster, owned by `account`. */
  readonly folder: string;
  readonly socketDirectory: string;
  readonly port: number;
  /** The superuser of the database. */
  readonly user: string;
  /** The system's user whom the server and its commands run as. */
  readonly account: Account;
  readonly logFile: string;
  /** PGHOST, PGPORT, PGUSER, PGDATABASE. */
  readonly environment: Readonly<Record<string, string>>;
  tablespaceDirectory(name: string): string;
  /** Changes settings; a running server has reloaded them when this resolves (those that need no restart). */
  configure(settings: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves when connections are accepted, or at once when the process runs for `{ wait: false }`. */
  start(options?: StartOptions): Promise<void>;
  /** `fast` when left out. Does nothing when the server does not run. */
  stop(mode?: StopMode): Promise<void>;
  isRunning(): boolean;
  /** Process id of the postmaster. */
  pid(): number;
  /** Rows as objects; every value as PostgreSQL's text. */
  query(sql: string): Promise<Row[]>;
  /** First column of the first row; throws when there is none or it is null. */
  value(sql: string): Promise<string>;
  serverLog(): Promise<string>;
  /** Stops at once and removes everything. */
  dispose(): Promise<void>;
}

export interface StartOptions {
  readonly wait?: boolean;
  readonly limitMs?: number;
  /** For the server and so for archive_command and restore_command. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export type Row = Readonly<Record<string, string | null>>;

const PORT = 5432;
const SUPERUSER = 'postgres';
const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;

/** initdb; the server is not started. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const version = options.version ?? NEWEST_POSTGRES;
  const account = serverAccount();
  const folder = createScratch(account);
  const dataDirectory = join(folder, 'data');
  const words = [...segmentSize(options.segmentMb), ...(options.initdbArguments ?? [])];
  if (options.sameSystem === true)
    await run('cp', ['-a', await pristine(version, words, account), dataDirectory]);
  else await initdb(version, words, account, dataDirectory);
  return openServer({ ...options, version }, account, folder, dataDirectory);
}

const run = promisify(execFile);

async function initdb(
  version: number,
  words: readonly string[],
  account: Account,
  dataDirectory: string,
): Promise<void> {
  const usual = ['-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
  await run(join(stagePostgres(version), 'bin', 'initdb'), ['-D', dataDirectory, ...usual, ...words], {
    ...identity(account),
    env: serverEnvironment(),
    cwd: dirname(dataDirectory),
  });
}

function segmentSize(megabytes: number | undefined): string[] {
  return megabytes === undefined ? [] : [`--wal-segsize=${megabytes}`];
}

/** A data directory of such servers as initdb left it, to be copied by their user; always the same one. */
export function pristineDirectory(version: number, segmentMb?: number): Promise<string> {
  return pristine(version, segmentSize(segmentMb), serverAccount());
}

const pristineOnes = new Map<string, Promise<string>>();

/** A data directory as initdb left it, made once a process. */
function pristine(version: number, words: readonly string[], account: Account): Promise<string> {
  const kind = [version, ...words].join(' ');
  const make = async () => {
    const dataDirectory = join(createScratch(account), 'data');
    await initdb(version, words, account, dataDirectory);
    return dataDirectory;
  };
  const made = pristineOnes.get(kind) ?? make();
  pristineOnes.set(kind, made);
  return made;
}

/**
 * A server on a data directory that is there already (a restored backup, say), which is given to the server's user
 * with all that is in it and in its tablespaces. Its postgresql.conf is replaced, since backups of WAL-E hold none.
 * The version is the directory's own.
 */
export async function openCluster(
  dataDirectory: string,
  options: Pick<ServerOptions, 'settings'> = {},
): Promise<Cluster> {
  const account = serverAccount();
  if (process.getuid?.() === 0) giveAway(dataDirectory, account);
  chmodSync(dataDirectory, 0o700);
  const version = Number((await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim());
  return openServer({ ...options, version }, account, createScratch(account), dataDirectory);
}

async function openServer(
  options: ClusterOptions & { readonly version: number },
  account: Account,
  folder: string,
  dataDirectory: string,
): Promise<Cluster> {
  const socketDirectory = join(folder, 'socket');
  mkdirSync(socketDirectory);
  own(socketDirectory, account);
  const server = new Server(options, account, folder, dataDirectory, socketDirectory);
  await server.configure({});
  return server;
}

class Server implements Cluster {
  readonly version: number;
  readonly walDirectory: string;
  readonly port = PORT;
  readonly user = SUPERUSER;
  readonly logFile: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly account: Account;
  readonly folder: string;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  #settings: Readonly<Record<string, string>>;
  #missingTablespaces: readonly string[];
  #process: ChildProcess | undefined;

  constructor(
    options: ClusterOptions & { readonly version: number },
    account: Account,
    folder: string,
    dataDirectory: string,
    socketDirectory: string,
  ) {
    this.version = options.version;
    this.account = account;
    this.folder = folder;
    this.dataDirectory = dataDirectory;
    this.socketDirectory = socketDirectory;
    this.walDirectory = join(dataDirectory, 'pg_wal');
    this.logFile = join(folder, 'server.log');
    this.environment = {
      PGHOST: socketDirectory,
      PGPORT: String(PORT),
      PGUSER: SUPERUSER,
      PGDATABASE: 'postgres',
    };
    this.#missingTablespaces = options.tablespaces ?? [];
    this.#settings = { ...defaults(socketDirectory), ...options.settings };
  }

  tablespaceDirectory(name: string): string {
    return join(this.folder, 'tablespaces', name);
  }

  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    this.#settings = { ...this.#settings, ...settings };
    const path = join(this.dataDirectory, 'postgresql.conf');
    const lines = Object.entries(this.#settings).map(([name, value]) => `${name} = ${quote(value)}\n`);
    await writeFile(path, lines.join(''), { mode: 0o600 });
    own(path, this.account);
    await this.#addMissingFile('pg_hba.conf', 'local all all trust\nlocal replication all trust\n');
    await this.#addMissingFile('pg_ident.conf', '');
    if (this.isRunning()) await this.#reload(settings);
  }

  async start(options: StartOptions = {}): Promise<void> {
    if (this.isRunning()) throw new Error('the server runs already');
    stopAtExit(this.dataDirectory);
    const log = openSync(this.logFile, 'a');
    const child = spawn(join(stagePostgres(this.version), 'bin', 'postgres'), ['-D', this.dataDirectory], {
      ...identity(this.account),
      cwd: this.folder,
      env: { ...serverEnvironment(), PGDATA: this.dataDirectory, ...options.environment },
      stdio: ['ignore', log, log],
    });
    await once(child, 'spawn');
    this.#process = child;
    if (options.wait === false) return;
    await poll('the server to accept connections', () => this.#isReady(), options.limitMs);
    await this.#createTablespaces();
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    const child = this.#process;
    if (child === undefined || !this.isRunning()) return;
    const ended = once(child, 'exit');
    child.kill(SIGNALS[mode]);
    await ended;
  }

  isRunning(): boolean {
    return (
      this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }

  pid(): number {
    if (this.#process?.pid === undefined) throw new Error('the server was never started');
    return this.#process.pid;
  }

  async query(sql: string): Promise<Row[]> {
    const { default: pg } = await import('pg');
    const client = new pg.Client({
      host: this.socketDirectory,
      port: PORT,
      user: SUPERUSER,
      database: 'postgres',
      types: { getTypeParser: () => (text: string | Buffer) => text.toString() },
    });
    // A server that is stopped meanwhile fails the query, which is enough.
    client.on('error', () => undefined);
    await client.connect();
    try {
      const result: { rows?: Row[] } | { rows?: Row[] }[] = await client.query(sql);
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  async value(sql: string): Promise<string> {
    const [row] = await this.query(sql);
    const value = row === undefined ? undefined : Object.values(row)[0];
    if (value === undefined || value === null) throw new Error(`no value: ${sql}`);
    return value;
  }

  serverLog(): Promise<string> {
    return existsSync(this.logFile) ? readFile(this.logFile, 'utf8') : Promise.resolve('');
  }

  async dispose(): Promise<void> {
    await this.stop('immediate');
    await rm(this.dataDirectory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #isReady(): Promise<boolean> {
    if (!this.isRunning()) throw new Error(`the server did not start:\n${await this.serverLog()}`);
    const path = join(this.dataDirectory, 'postmaster.pid');
    const lines = existsSync(path) ? (await readFile(path, 'utf8')).split('\n') : [];
    return lines[0] === String(this.pid()) && lines[7]?.trim() === 'ready';
  }

  async #reload(settings: Readonly<Record<string, string>>): Promise<void> {
    const before = await this.value('SELECT pg_conf_load_time()');
    await this.query('SELECT pg_reload_conf()');
    const what = `the server to reload ${Object.keys(settings).join(', ')}`;
    await poll(what, async () => (await this.value('SELECT pg_conf_load_time()')) !== before);
  }

  async #createTablespaces(): Promise<void> {
    for (const name of this.#missingTablespaces) {
      const path = this.tablespaceDirectory(name);
      mkdirSync(path, { recursive: true });
      own(path, this.account);
      await this.query(`CREATE TABLESPACE ${name} LOCATION ${quote(path)}`);
    }
    this.#missingTablespaces = [];
  }

  async #addMissingFile(name: string, text: string): Promise<void> {
    const path = join(this.dataDirectory, name);
    if (existsSync(path)) return;
    await writeFile(path, text, { mode: 0o600 });
    own(path, this.account);
  }
}

/** No fsync: these servers outlive no crash of the machine, only crashes of their own. */
function defaults(socketDirectory: string): Record<string, string> {
  return {
    listen_addresses: '',
    unix_socket_directories: socketDirectory,
    port: String(PORT),
    fsync: 'off',
    max_connections: '20',
    shared_buffers: '16MB',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
}

function serverEnvironment(): Record<string, string> {
  return { PATH: `${nodeFolder()}:/usr/local/bin:/usr/bin:/bin`, LC_ALL: 'C', TZ: 'UTC' };
}

function identity(account: Account): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: account.uid, gid: account.gid } : {};
}

function own(path: string, account: Account): void {
  if (process.getuid?.() === 0) chownSync(path, account.uid, account.gid);
}

function giveAway(path: string, account: Account): void {
  lchownSync(path, account.uid, account.gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) giveAway(child, account);
    else lchownSync(child, account.uid, account.gid);
    if (entry.isSymbolicLink() && statSync(child).isDirectory()) giveAway(realpathSync(child), account);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
