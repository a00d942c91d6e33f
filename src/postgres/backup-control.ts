/**
 * Starts and stops a base backup on the server, in the non-exclusive mode that every supported version has: the backup
 * lives in one session, and when that ends without a stop, the server forgets the backup and nothing needs cleaning up.
 */
import { UserError } from '../errors.ts';
import { type Row, type Session, sqlState, statementError } from './connection.ts';
import { parseLsn, segmentTimeline } from './segment.ts';
import { type Version, versionOfServer } from './version.ts';

export interface ServerFacts {
  readonly version: Version;
  /** server_version_num */
  readonly versionNumber: number;
  /** The text of `SELECT version()`. */
  readonly versionText: string;
  readonly systemIdentifier: bigint;
  /** undefined when the role may not know it. */
  readonly dataDirectory: string | undefined;
  readonly inRecovery: boolean;
  /** `off`, `on`, `always` */
  readonly archiveMode: string;
  /** How long a checkpoint that is not immediate is spread over, at most. */
  readonly checkpointSeconds: number;
}

export interface StoppedBackup {
  readonly stop: bigint;
  /** Contents of the file backup_label. */
  readonly label: string;
  /** Contents of the file tablespace_map; empty without tablespaces. */
  readonly tablespaceMap: string;
  /** The segment file that the label says the backup starts in. */
  readonly startSegment: string;
}

const FACTS = `select version() as version_text,
  current_setting('server_version_num') as version_number,
  (select system_identifier::text from pg_control_system()) as system_identifier,
  (select setting from pg_settings where name = 'data_directory') as data_directory,
  pg_is_in_recovery()::text as in_recovery,
  current_setting('archive_mode') as archive_mode,
  (select (current_setting('checkpoint_completion_target')::float8 * setting::float8)::int::text
    from pg_settings where name = 'checkpoint_timeout') as checkpoint_seconds`;

/** Any two numbers, as long as they are always the same: "wal-e", "back". */
const LOCK = 'select pg_try_advisory_lock(2002873701, 1650549611)::text as locked';

/** A lock of that kind is one of a database, a backup one of all of them: whoever holds it in another one counts too. */
const HOLDERS = `select pid::text as pid from pg_locks
  where locktype = 'advisory' and classid = 2002873701 and objid = 1650549611 and objsubid = 2 and granted
    and pid <> pg_backend_pid()`;

/** The last line gives the timeline that the server is on: a standby's is that of what it replayed. */
const STATE = `select pg_is_in_recovery()::text as in_recovery,
  greatest((select timeline_id from pg_control_checkpoint()),
    (select min_recovery_end_timeline from pg_control_recovery()))::text as timeline`;

/** query_canceled: what a statement_timeout ends with. */
const CANCELED = '57014';

const ARCHIVER = `select last_failed_wal, last_failed_time::text as last_failed_time, last_archived_wal
  from pg_stat_archiver`;

export class BackupControl {
  readonly facts: ServerFacts;
  readonly #session: Session;

  private constructor(session: Session, facts: ServerFacts) {
    this.#session = session;
    this.facts = facts;
  }

  /** Prepares the session for a statement that takes hours, and asks what the server is. */
  static async open(session: Session, signal: AbortSignal): Promise<BackupControl> {
    const ask = (sql: string) => session.query(sql, [], signal);
    const [row] = await ask(FACTS).catch((error: unknown) => {
      throw statementError('could not ask the server what it is', error);
    });
    const facts = serverFacts(row);
    for (const name of facts.version.timeouts) await ask(`set ${name} = 0`);
    return new BackupControl(session, facts);
  }

  /** False: somebody else is backing this cluster up. The lock goes with the session. Of two at once none may get it. */
  async lock(signal: AbortSignal): Promise<boolean> {
    const [row] = await this.#session.query(LOCK, [], signal);
    if (row?.locked !== 'true') return false;
    return (await this.#session.query(HOLDERS, [], signal)).length === 0;
  }

  /** Waits for a checkpoint: at once when `fast`, else spread so that it does not get in the way. Gives the start LSN. */
  async start(label: string, fast: boolean, signal: AbortSignal): Promise<bigint> {
    const sql = this.facts.version.startBackup;
    const [row] = await this.#session.query(sql, [label, fast], signal).catch((error: unknown) => {
      throw statementError('could not start the backup on the server', error);
    });
    return lsn(row);
  }

  /**
   * Throws when the server was promoted or changed its timeline since the start. Where it waits for its archiver, it does
   * so for `archiverLimitMs`.
   */
  async stop(archiverLimitMs: number, signal: AbortSignal): Promise<StoppedBackup> {
    const { stopBackup, stopWaitsForArchive } = this.facts.version;
    if (stopWaitsForArchive)
      await this.#session.query(`set statement_timeout = ${archiverLimitMs}`, [], signal);
    const [row] = await this.#session.query(stopBackup, [], signal).catch(async (error: unknown) => {
      const stopped = statementError('could not stop the backup on the server', error);
      if (!stopWaitsForArchive || sqlState(error) !== CANCELED) throw stopped;
      const trouble = await this.archiverTrouble(signal).catch(() => undefined);
      throw archiverTooSlow(archiverLimitMs, trouble, error);
    });
    const label = row?.labelfile ?? '';
    const startSegment = /^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$/m.exec(label)?.[1];
    if (startSegment === undefined) {
      throw new UserError('the server gave a backup label that does not name the first segment', {
        detail: label,
      });
    }
    await this.#checkState(segmentTimeline(startSegment), signal);
    return { stop: lsn(row), label, tablespaceMap: row?.spcmapfile ?? '', startSegment };
  }

  async #checkState(timeline: number, signal: AbortSignal): Promise<void> {
    const [state] = await this.#session.query(STATE, [], signal);
    const promoted = this.facts.inRecovery !== (state?.in_recovery === 'true');
    if (!promoted && state?.timeline === String(timeline)) return;
    throw new UserError('the server changed its timeline during the backup', {
      detail: promoted
        ? 'The standby was promoted.'
        : `The backup started on timeline ${timeline}; now it is ${state?.timeline}.`,
      hint: 'Start the backup again.',
    });
  }

  /** What the server's archiver says of itself, for a message; undefined when it says nothing of interest. */
  async archiverTrouble(signal: AbortSignal): Promise<string | undefined> {
    const [row] = await this.#session.query(ARCHIVER, [], signal);
    if (row?.last_failed_wal === null || row === undefined) return undefined;
    const last = row.last_archived_wal === null ? 'none' : row.last_archived_wal;
    return `The server's archiver failed last at ${row.last_failed_time} with ${row.last_failed_wal}; the last that it archived is ${last}.`;
  }
}

function archiverTooSlow(limitMs: number, trouble: string | undefined, cause: unknown): UserError {
  return new UserError('the WAL that the backup needs did not reach the archive', {
    detail: `The server waited ${limitMs / 1000} s for its archiver. ${trouble ?? ''}`.trim(),
    hint: 'Look at archive_command in the log of the server. --wal-timeout lets it wait for longer.',
    cause,
  });
}

function serverFacts(row: Row | undefined): ServerFacts {
  const versionNumber = Number(row?.version_number);
  return {
    version: versionOfServer(versionNumber),
    versionNumber,
    versionText: row?.version_text ?? '',
    systemIdentifier: BigInt(row?.system_identifier ?? 0),
    dataDirectory: row?.data_directory ?? undefined,
    inRecovery: row?.in_recovery === 'true',
    archiveMode: row?.archive_mode ?? '',
    checkpointSeconds: Number(row?.checkpoint_seconds),
  };
}

function lsn(row: Row | undefined): bigint {
  const position = parseLsn(row?.lsn ?? '');
  if (position === undefined)
    throw new UserError('the server gave no WAL position', { detail: String(row?.lsn) });
  return position;
}
