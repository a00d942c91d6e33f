/** Where wal-fetch puts the file: it appears there whole, or not at all. */
import { readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isAlive } from '../archive/prefetch.ts';
import { UserError } from '../errors.ts';
import { callingServer } from '../postgres/process-tree.ts';
import type { Source } from './download.ts';

const LEFTOVER = /^\.(.+)\.(\d+)\.wal-fetch$/;

/** The real folder of the destination. Throws UserError when there is none. */
export function destinationFolder(path: string): string {
  try {
    return realpathSync(dirname(path));
  } catch (error) {
    throw new UserError('the folder of the destination is not there', {
      detail: `The destination is "${path}": ${error instanceof Error ? error.message : error}`,
      cause: error,
    });
  }
}

/** The destination is `pg_wal/RECOVERYXLOG`; pg_wal may be a link out of the data directory. */
export function dataDirectoryOf(path: string): string {
  return dirname(dirname(path));
}

/** Where a file is to be, and the process of the server that waits for it there: undefined where somebody else does. */
export interface Destination {
  readonly path: string;
  readonly server: number | undefined;
}

/** Looked up before anything takes long: the server that calls may be killed meanwhile. */
export function destinationAt(path: string): Destination {
  return { path, server: callingServer() };
}

/** Downloads beside the destination, then renames. Returns the size in bytes; undefined: the archive does not have it. */
export async function fetchTo(
  destination: Destination,
  name: string,
  source: Source,
): Promise<number | undefined> {
  const { path } = destination;
  const { download } = await import('./download.ts');
  const folder = destinationFolder(path);
  removeLeftovers(folder, basename(path));
  const temporary = join(folder, `.${basename(path)}.${process.pid}.wal-fetch`);
  const size = await download(name, temporary, { ...source, dataDirectory: dataDirectoryOf(path) });
  if (size !== undefined) place(temporary, destination);
  return size;
}

/** Renames what is whole and checked to the destination. */
export function place(whole: string, destination: Destination): void {
  const { path } = destination;
  try {
    assertAwaited(destination);
    renameSync(whole, path);
  } catch (error) {
    rmSync(whole, { force: true });
    if (error instanceof UserError) throw error;
    throw new UserError('could not rename the fetched file to its destination', {
      detail: `The destination is "${path}": ${error instanceof Error ? error.message : error}`,
      cause: error,
    });
  }
}

/**
 * A wal-fetch outlives a server that was killed. The one that was started in its place asks for other files at the same
 * path, takes what it finds there for its own, and a recovery ends at a segment that is not the one it asked for.
 */
function assertAwaited({ path, server }: Destination): void {
  if (server === undefined || callingServer() === server) return;
  throw new UserError('the server that asked for the file has ended', {
    detail: `It was process ${server}. Nothing was put at "${path}".`,
  });
}

/** What killed processes left behind for this destination; also of our own pid, which then was theirs. */
function removeLeftovers(folder: string, destination: string): void {
  for (const entry of readdirSync(folder)) {
    const [, name, pid] = LEFTOVER.exec(entry) ?? [];
    const isOurs = name === destination && pid !== undefined;
    if (isOurs && (pid === String(process.pid) || !isAlive(pid)))
      rmSync(join(folder, entry), { force: true });
  }
}
