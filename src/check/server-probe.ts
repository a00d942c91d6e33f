/** The server: one connection, a few questions, and a look at its data directory where that is on this machine. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { readyFiles } from '../postgres/archive-status.ts';
import { CONTROL_FILE } from '../postgres/cluster-contents.ts';
import { connect } from '../postgres/connection.ts';
import { serverAddress } from '../postgres/server-address.ts';
import { libpqSettings } from '../settings/libpq.ts';
import type { Settings } from '../settings/settings.ts';
import { commandFinding } from './command-finding.ts';
import { type Finding, failed, failure, limited, ok, warning } from './finding.ts';
import { postmasterEnvironment } from './postmaster.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { serverFindings } from './server-findings.ts';
import { probeSpace } from './space.ts';

/** The archiver is behind when more segments than this wait; a batch of wal-push takes 32. */
const MANY_WAITING = 64;

export async function* probeServer(settings: Settings, signal: AbortSignal): AsyncGenerator<Finding> {
  let facts: ServerFacts;
  try {
    facts = await askServer(settings, limited(signal));
  } catch (error) {
    signal.throwIfAborted();
    const remedy =
      'Start it, or set PGHOST, PGPORT and PGUSER. On a machine without a server: --without-postgres.';
    yield failure('postgresql', error, remedy);
    return;
  }
  yield* serverFindings(facts);
  const { dataDirectory, archiveMode } = facts;
  const environment = dataDirectory === undefined ? undefined : await postmasterEnvironment(dataDirectory);
  if (archiveMode !== 'off') yield commandFinding({ ...facts, environment }, settings);
  yield* localFindings(dataDirectory);
}

async function askServer(settings: Settings, signal: AbortSignal): Promise<ServerFacts> {
  const libpq = libpqSettings(settings.environment);
  const session = await connect(libpq, serverAddress(libpq, undefined), signal);
  try {
    return await readServerFacts((sql) => session.query(sql, [], signal));
  } finally {
    await session.close();
  }
}

async function* localFindings(dataDirectory: string | undefined): AsyncGenerator<Finding> {
  const name = 'data directory';
  if (dataDirectory === undefined) {
    yield warning(
      name,
      'this role may not know where it is',
      'GRANT pg_read_all_settings to it, or run the check as a superuser.',
    );
    return;
  }
  try {
    await access(join(dataDirectory, CONTROL_FILE), constants.R_OK);
  } catch (error) {
    const reason = (error as Error).message;
    yield failed(
      name,
      `backup-push could not read it: ${reason}`,
      'Run wal-e on the machine and as the user of the server.',
    );
    return;
  }
  yield ok(name, dataDirectory);
  const walDirectory = join(dataDirectory, 'pg_wal');
  yield waitingSegments(walDirectory);
  const space = await probeSpace(
    'free space (pg_wal)',
    walDirectory,
    'PostgreSQL stops when it is full. Make room; if segments wait to be archived, mend that first. Never delete files in pg_wal.',
  );
  if (space !== undefined) yield space;
}

/** `walDirectory`: pg_wal. */
export function waitingSegments(walDirectory: string): Finding {
  const name = 'waiting segments';
  let waiting: number;
  try {
    waiting = readyFiles(walDirectory).length;
  } catch (error) {
    const reason = (error as Error).message;
    return warning(name, `cannot be counted: ${reason}`, 'Run wal-e as the user of the server.');
  }
  const message = waiting === 1 ? '1 file waits to be archived' : `${waiting} files wait to be archived`;
  if (waiting <= MANY_WAITING) return ok(name, message);
  return warning(
    name,
    message,
    'See the line "archiver". If it does not fail, it is too slow: docs/troubleshooting.md, "The archiver falls behind".',
  );
}
