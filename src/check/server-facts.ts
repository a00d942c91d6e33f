/** What the server says about itself, asked for with the fewest rights: what a role may not see is undefined. */
import { versionOfServer } from '../postgres/version.ts';

/** Rows with every value as PostgreSQL's text. */
export type Query = (sql: string) => Promise<readonly Readonly<Record<string, string | null>>[]>;

export interface ServerFacts {
  /** As in `SHOW server_version`. */
  readonly version: string;
  readonly role: string;
  readonly inRecovery: boolean;
  readonly mayBackUp: boolean;
  /** The functions that it needs the right to execute for that. */
  readonly backupFunctions: readonly string[];
  readonly walLevel: string;
  readonly archiveMode: string;
  readonly archiveCommand: string | undefined;
  readonly archiveLibrary: string | undefined;
  readonly dataDirectory: string | undefined;
  readonly archiver: ArchiverFacts;
}

export interface ArchiverFacts {
  readonly lastArchived: string | undefined;
  readonly lastArchivedSeconds: number | undefined;
  readonly lastFailed: string | undefined;
  readonly lastFailedSeconds: number | undefined;
  readonly failedCount: number;
}

const IDENTITY = `SELECT current_setting('server_version') AS version,
  current_setting('server_version_num') AS number, current_user AS role, pg_is_in_recovery()::text AS recovery`;

// A view, not current_setting(): it leaves out what the role may not see instead of failing.
const SETTINGS = `SELECT name, setting FROM pg_settings WHERE name IN
  ('wal_level', 'archive_mode', 'archive_command', 'archive_library', 'data_directory')`;

const ARCHIVER = `SELECT last_archived_wal, last_failed_wal, failed_count,
  extract(epoch FROM clock_timestamp() - last_archived_time) AS archived_seconds,
  extract(epoch FROM clock_timestamp() - last_failed_time) AS failed_seconds FROM pg_stat_archiver`;

export async function readServerFacts(query: Query): Promise<ServerFacts> {
  const [identity = {}] = await query(IDENTITY);
  const settings = new Map((await query(SETTINGS)).map(({ name, setting }) => [name, setting]));
  const setting = (name: string) => settings.get(name) ?? undefined;
  const { backupFunctions } = versionOfServer(Number(identity.number));
  return {
    version: identity.version ?? '',
    role: identity.role ?? '',
    inRecovery: identity.recovery === 'true',
    mayBackUp: await mayBackUp(query, backupFunctions),
    backupFunctions,
    walLevel: setting('wal_level') ?? '',
    archiveMode: setting('archive_mode') ?? '',
    archiveCommand: setting('archive_command'),
    archiveLibrary: setting('archive_library'),
    dataDirectory: setting('data_directory'),
    archiver: await readArchiver(query),
  };
}

async function mayBackUp(query: Query, functions: readonly string[]): Promise<boolean> {
  const rights = functions.map((name) => `has_function_privilege('pg_catalog.${name}', 'EXECUTE')`);
  const [row] = await query(`SELECT (${rights.join(' AND ')})::text AS allowed`);
  return row?.allowed === 'true';
}

async function readArchiver(query: Query): Promise<ArchiverFacts> {
  const [row = {}] = await query(ARCHIVER);
  const seconds = (text: string | null | undefined) => (text == null ? undefined : Number(text));
  return {
    lastArchived: row.last_archived_wal ?? undefined,
    lastArchivedSeconds: seconds(row.archived_seconds),
    lastFailed: row.last_failed_wal ?? undefined,
    lastFailedSeconds: seconds(row.failed_seconds),
    failedCount: Number(row.failed_count ?? 0),
  };
}
