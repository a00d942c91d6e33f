/**
 * One session with a server over `pg`, held for as long as a base backup takes: its end ends a non-exclusive backup on
 * the server, so a session that breaks must be noticed and must never be replaced by another.
 */
import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { UserError } from '../errors.ts';
import type { ConnectionSettings, ServerAddress } from './connection-settings.ts';
import { readPassword } from './password-file.ts';
import { passwordHosts } from './server-address.ts';
import { tlsAttempts } from './tls.ts';

/** Values as PostgreSQL's text. */
export type Row = Readonly<Record<string, string | null>>;

export interface Session {
  readonly address: ServerAddress;
  /** Aborts with a UserError when the session ended without `close`. */
  readonly lost: AbortSignal;
  /** Rejects with the signal's reason when that aborts; the statement may still run then, until `close`. */
  query(sql: string, values: readonly unknown[], signal: AbortSignal): Promise<Row[]>;
  /** Ends the session, and with it a backup that was not stopped, also when a statement still runs. Never rejects. */
  close(): Promise<void>;
}

/** How a server that has gone without a word is noticed: asked so often, it must answer within the limit. Milliseconds. */
export interface Heartbeat {
  readonly everyMs: number;
  readonly limitMs: number;
}

const HEARTBEAT: Heartbeat = { everyMs: 30_000, limitMs: 120_000 };
const CLOSE_LIMIT_MS = 5_000;
/** Errors after which libpq tries the other way (with or without TLS): no TLS there, or pg_hba.conf wants the other. */
const OTHER_WAY = /does not support SSL|no pg_hba\.conf entry|no encryption|SSL o/i;

export async function connect(
  settings: ConnectionSettings,
  address: ServerAddress,
  signal: AbortSignal,
  heartbeat = HEARTBEAT,
): Promise<Session> {
  const { host, port } = address;
  const { database, user } = settings;
  const login = { hosts: passwordHosts(settings, address), port, database, user };
  const given = settings.password;
  const { password, ignored } =
    given === undefined ? await readPassword(settings.passwordFile, login) : { password: given };
  const attempts = tlsAttempts(host, settings.ssl, settings.host);
  for (const [index, ssl] of attempts.entries()) {
    const line = new Line({ settings, address, password: password ?? '', ssl, heartbeat });
    try {
      await line.open(signal);
      return await HeldSession.begin(line, signal);
    } catch (error) {
      line.cut();
      signal.throwIfAborted();
      const isLast = index === attempts.length - 1;
      if (isLast || !OTHER_WAY.test((error as Error).message))
        throw connectError(settings, address, { error, ignored });
    }
  }
  throw new Error('no way to connect was tried');
}

interface LineOptions {
  readonly settings: ConnectionSettings;
  readonly address: ServerAddress;
  readonly password: string;
  readonly ssl: ConnectionOptions | false;
  readonly heartbeat: Heartbeat;
}

/** A client with its socket in reach, so that it can be cut off whatever state it is in. */
class Line {
  readonly options: LineOptions;
  readonly client: pg.Client;
  readonly #socket = new Socket();

  constructor(options: LineOptions) {
    this.options = options;
    const { settings, address, password, ssl, heartbeat } = options;
    this.client = new pg.Client({
      ...address,
      user: settings.user,
      database: settings.database,
      // pg would look into .pgpass by itself if there were none.
      password: () => password,
      // The last one counts. Without PGOPTIONS none are sent: a pooler on the way may refuse them.
      ...(settings.options && { options: `${settings.options} -c statement_timeout=0` }),
      ssl,
      stream: () => this.#socket,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: heartbeat.everyMs,
      application_name: 'wal-e',
      client_encoding: 'UTF8',
      types: { getTypeParser: () => (value: string) => value },
    });
  }

  async open(signal: AbortSignal): Promise<void> {
    this.client.on('error', () => undefined);
    await settledOrAborted(this.client.connect(), signal);
  }

  cut(): void {
    this.#socket.destroy();
  }
}

class HeldSession implements Session {
  readonly address: ServerAddress;
  readonly #line: Line;
  readonly #pid: string;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #running = 0;
  #closing = false;

  static async begin(line: Line, signal: AbortSignal): Promise<HeldSession> {
    const { rows } = await settledOrAborted(
      line.client.query('select pg_backend_pid()::text as pid'),
      signal,
    );
    return new HeldSession(line, (rows[0] as Row).pid ?? '');
  }

  private constructor(line: Line, pid: string) {
    this.#line = line;
    this.#pid = pid;
    this.address = line.options.address;
    line.client.on('error', (error) => this.#lose(error.message));
    line.client.on('end', () => this.#lose('The server closed it.'));
    this.#heartbeat = setInterval(() => void this.#beat(), line.options.heartbeat.everyMs);
    this.#heartbeat.unref();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async query(sql: string, values: readonly unknown[], signal: AbortSignal): Promise<Row[]> {
    this.#running += 1;
    const either = AbortSignal.any([signal, this.lost]);
    const result = this.#line.client.query(sql, [...values]).finally(() => {
      this.#running -= 1;
    });
    const { rows } = await settledOrAborted(result, either);
    return rows as Row[];
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#heartbeat);
    const limit = AbortSignal.timeout(CLOSE_LIMIT_MS);
    try {
      if (this.#running > 0 && !this.lost.aborted) await this.#terminate(limit);
      else await settledOrAborted(this.#line.client.end(), limit);
    } catch {
      // The server notices a connection that is cut as well, only later.
    }
    this.#line.cut();
  }

  /** A statement still runs (waiting for a checkpoint, say): its process would go on until it is done. */
  async #terminate(signal: AbortSignal): Promise<void> {
    const other = new Line(this.#line.options);
    try {
      await other.open(signal);
      await settledOrAborted(other.client.query('select pg_terminate_backend($1::int)', [this.#pid]), signal);
      await settledOrAborted(other.client.end(), signal);
    } finally {
      other.cut();
    }
  }

  async #beat(): Promise<void> {
    if (this.#running > 0) return;
    const { limitMs } = this.#line.options.heartbeat;
    const limit = AbortSignal.timeout(limitMs);
    try {
      await this.query('select 1', [], limit);
    } catch (error) {
      const silent = `It did not answer for ${limitMs / 1000} s.`;
      this.#lose(limit.aborted ? silent : (error as Error).message);
    }
  }

  #lose(detail: string): void {
    if (this.#closing || this.lost.aborted) return;
    clearInterval(this.#heartbeat);
    this.#lost.abort(
      new UserError('lost the connection to PostgreSQL', {
        detail,
        hint: 'A backup lives in its session: start it again, and look into the log of the server for the reason.',
      }),
    );
  }
}

/** The promise, or the signal's reason if that comes first; the promise's own end is then nobody's business. */
async function settledOrAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  let aborted: (() => void) | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      aborted = () => reject(signal.reason);
      if (signal.aborted) aborted();
      signal.addEventListener('abort', aborted, { once: true });
      promise.then(resolve, reject);
    });
  } finally {
    if (aborted !== undefined) signal.removeEventListener('abort', aborted);
  }
}

function connectError(
  settings: ConnectionSettings,
  { host, port }: ServerAddress,
  { error, ignored }: { error: unknown; ignored: string | undefined },
): UserError {
  const { message, code } = error as { message: string; code?: string };
  const unused = ignored === undefined ? '' : ` The password file was not used: ${ignored}.`;
  return new UserError('could not connect to PostgreSQL', {
    detail: `As user "${settings.user}" to database "${settings.database}" at ${host}, port ${port}: ${message}`,
    hint: connectHint(code, message, unused),
    cause: error,
  });
}

function connectHint(code: string | undefined, message: string, unused: string): string {
  if (code === '28P01' || /password/i.test(message))
    return `Set PGPASSWORD, or write the password into the file .pgpass of the user who runs this.${unused}`;
  // There is no such role, or pg_hba.conf asks the system who we are: root, most of the time.
  if (code === '28000')
    return 'Run this as the user that the server runs as, or set PGUSER to a role that pg_hba.conf lets in.';
  return 'Check PGHOST, PGPORT, PGUSER and PGDATABASE, and that the server runs.';
}

/** Of the server's refusal of a statement; undefined for any other failure. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** The server's refusal of a statement, in its own words. */
export function statementError(what: string, error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  return new UserError(what, {
    detail: [error.message, error.detail].filter(Boolean).join(': '),
    hint: error.hint,
    cause: error,
  });
}
