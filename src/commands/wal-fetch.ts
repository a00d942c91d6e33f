/**
 * `wal-fetch NAME PATH`, PostgreSQL's restore_command: exit 0 when the file is at PATH, 1 only when the archive does
 * not have it. What any other failure exits with is decided in wal/fetch-failure.ts.
 */
import { walKey } from '../archive/layout.ts';
import { Spool } from '../archive/prefetch.ts';
import { isDiskFull } from '../errno.ts';
import { UsageError, UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { followingSegments, walFileKind } from '../postgres/segment.ts';
import { archiveAddress, archiveUrl } from '../settings/archive-address.ts';
import { fetchErrorExit } from '../settings/fetch.ts';
import { type Destination, destinationAt, destinationFolder } from '../wal/destination.ts';
import type { Ahead } from '../wal/fetch-ahead.ts';
import { fetchFailureStatus } from '../wal/fetch-failure.ts';
import { pathPrefix } from '../wal/log-fields.ts';
import type { Context } from './context.ts';

export interface WalFetchArguments {
  readonly walSegment: string;
  readonly walDestination: string;
  /** Segments to fetch ahead. */
  readonly prefetch: number;
}

const FOUND = 0;
const MISSING = 1;
/** A spool of more segments than this is a slip of the finger. */
const MOST_AHEAD = 1024;

export async function run(args: WalFetchArguments, context: Context): Promise<number> {
  try {
    return (await fetch(args, context)) ? FOUND : MISSING;
  } catch (error) {
    const cause: unknown = context.signal.aborted ? context.signal.reason : error;
    context.log.failure(cause);
    const status = cause instanceof UserError ? cause.exitStatus : 1;
    return fetchFailureStatus(status, context.settings.environment, args.walDestination);
  }
}

async function fetch(args: WalFetchArguments, context: Context): Promise<boolean> {
  const { walSegment: name } = args;
  const destination = destinationAt(args.walDestination);
  checkName(name);
  fetchErrorExit(context.settings.environment);
  const log = context.log.named('wal_e.operator.backup');
  const url = archiveUrl(context.settings);
  const fields = { action: 'wal-fetch', key: `${url}/${walKey(name)}`, prefix: pathPrefix(url), seg: name };
  log.info('begin wal restore', { structured: { ...fields, state: 'begin' } });
  const ahead = walFileKind(name) === 'segment' ? Math.min(args.prefetch, MOST_AHEAD) : 0;
  const size =
    ahead > 0
      ? await fetchSegment(name, destination, ahead, { context, log, fields })
      : await fetchDirectly(name, destination, { context, log, fields });
  log.info('complete wal restore', { structured: { ...fields, state: 'complete' } });
  return size !== undefined;
}

interface Task {
  readonly context: Context;
  readonly log: Log;
  readonly fields: Readonly<Record<'action' | 'key' | 'prefix' | 'seg', string>>;
}

/** From the spool, or else from the archive; then the next ones are seen to. */
async function fetchSegment(
  name: string,
  destination: Destination,
  count: number,
  task: Task,
): Promise<number | undefined> {
  const folder = destinationFolder(destination.path);
  const spool = openSpool(folder, name, task);
  if (spool === undefined) return fetchDirectly(name, destination, task);
  const size =
    (await promote(spool, name, destination, task)) ?? (await fetchAlone(spool, name, destination, task));
  if (size !== undefined) {
    const wanted = followingSegments(name, count, size);
    await lookAhead(spool, { walDirectory: folder, wanted, segmentBytes: size }, task);
  }
  return size;
}

/** The spool is a help: when it cannot be used, the segment comes straight from the archive. */
function openSpool(folder: string, name: string, { context, log }: Task): Spool | undefined {
  const spool = attempt(() => {
    const made = new Spool(folder, archiveAddress(context.settings));
    made.make();
    return made;
  }, log);
  // On a full disk it cannot be written, and what was fetched ahead needs no room.
  if (spool !== undefined) attempt(() => spool.setPosition(name), log);
  return spool;
}

async function lookAhead(spool: Spool, ahead: Omit<Ahead, 'globals'>, { context, log }: Task): Promise<void> {
  try {
    spool.keepOnly(ahead.wanted);
    const { fetchAhead } = await import('../wal/fetch-ahead.ts');
    await fetchAhead(spool, { ...ahead, globals: context.settings.options });
  } catch (error) {
    noHelp(error, log);
  }
}

async function promote(
  spool: Spool,
  name: string,
  destination: Destination,
  { log, fields }: Task,
): Promise<number | undefined> {
  const { takePrefetched } = await import('../wal/prefetched.ts');
  const size = await takePrefetched(spool, name, destination, log).catch((error: unknown) =>
    noHelp(error, log),
  );
  if (size !== undefined) {
    log.info('promoted prefetched wal segment', {
      detail: `Moved the prefetched "${name}" to "${destination.path}".`,
      structured: fields,
    });
  }
  return size;
}

/** Trouble with the spool must not keep a segment from being fetched, nor make one that was fetched count as missing. */
function noHelp(error: unknown, log: Log): undefined {
  log.warning('prefetch does not work', { detail: String(error) });
  return undefined;
}

/** The claim keeps a process that fetches ahead from fetching the same segment. */
async function fetchAlone(
  spool: Spool,
  name: string,
  destination: Destination,
  task: Task,
): Promise<number | undefined> {
  const claimed = attempt(() => spool.claim(name), task.log);
  try {
    return await fetchDirectly(name, destination, task);
  } finally {
    if (claimed !== undefined) attempt(() => spool.release(name), task.log);
  }
}

function attempt<T>(work: () => T, log: Log): T | undefined {
  try {
    return work();
  } catch (error) {
    return noHelp(error, log);
  }
}

/** On a full disk what was fetched ahead gives way to what is needed now. */
async function fetchDirectly(
  name: string,
  destination: Destination,
  task: Task,
): Promise<number | undefined> {
  try {
    return await fetchFromArchive(name, destination, task);
  } catch (error) {
    if (!(error instanceof UserError && isDiskFull(error.cause))) throw error;
    const { makeRoom } = await import('../wal/room.ts');
    await makeRoom(new Spool(destinationFolder(destination.path), archiveAddress(task.context.settings)));
    return fetchFromArchive(name, destination, task);
  }
}

async function fetchFromArchive(
  name: string,
  destination: Destination,
  { context, log, fields }: Task,
): Promise<number | undefined> {
  const [{ fetchTo }, store] = await Promise.all([import('../wal/destination.ts'), context.openStore()]);
  const size = await fetchTo(destination, name, { store, signal: context.signal });
  if (size === undefined) {
    log.info('could no longer locate object while performing wal restore', {
      detail: `The absolute URI that could not be located is ${fields.key}.`,
      hint: 'This can be normal when Postgres is trying to detect what timelines are available during restoration.',
      structured: fields,
    });
  } else {
    log.info('completed download and decompression', {
      detail: `Downloaded and decompressed "${fields.key}" to "${destination.path}"`,
      structured: fields,
    });
  }
  return size;
}

/** A name goes into a key and into paths. */
function checkName(name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.]*$/.test(name)) return;
  throw new UsageError('not the name of a WAL file', {
    detail: `The name is "${name}".`,
    hint: "restore_command = 'wal-e … wal-fetch %f %p': the name first, then the path.",
  });
}
