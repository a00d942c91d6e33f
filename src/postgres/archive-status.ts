/**
 * `pg_wal/archive_status`: PostgreSQL's list of what is to be archived. `X.ready` asks for X, `X.done` lets it be
 * recycled (PostgreSQL: pgarch.c, xlogarchive.c).
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../errno.ts';
import { walFileKind } from './segment.ts';

const FOLDER = 'archive_status';
const READY = '.ready';
const DONE = '.done';

/** Names of the WAL files of any kind that wait, oldest name first; none without that folder. */
export function readyFiles(walDirectory: string): string[] {
  return filesWith(READY, walDirectory);
}

/** Those that are segments. */
export function readySegments(walDirectory: string): string[] {
  return readyFiles(walDirectory).filter((name) => walFileKind(name) === 'segment');
}

/** Names of the WAL files that count as archived and were not recycled yet; none without that folder. */
export function doneFiles(walDirectory: string): string[] {
  return filesWith(DONE, walDirectory);
}

/** Whether a server keeps its WAL here. */
export function isWalDirectory(folder: string): boolean {
  return existsSync(join(folder, FOLDER));
}

/** Whether PostgreSQL asks for the file. */
export function isReady(walDirectory: string, name: string): boolean {
  return existsSync(join(walDirectory, FOLDER, `${name}${READY}`));
}

/** Tells PostgreSQL that the segment is archived. False when it no longer asks for it. */
export function markDone(walDirectory: string, name: string): boolean {
  const status = join(walDirectory, FOLDER, name);
  try {
    renameSync(`${status}${READY}`, `${status}${DONE}`);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function filesWith(status: string, walDirectory: string): string[] {
  return entries(join(walDirectory, FOLDER))
    .filter((entry) => entry.endsWith(status))
    .map((entry) => entry.slice(0, -status.length))
    .sort();
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
