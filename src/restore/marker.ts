/**
 * The marker file: from the first byte written to the last it lies in the target and says that the restore is not
 * complete, and which parts are, so that a repeated run goes on where this one stopped.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { JsonFields } from '../archive/json-fields.ts';
import { isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';
import { syncFolder } from '../tar/folders.ts';
import { MARKER_FILE } from './members.ts';
import { isSystemError, systemError } from './system-error.ts';

export interface Marker {
  readonly backup: string;
  /** Who restores. */
  readonly process: RestoringProcess;
  /** Oid -> absolute directory. */
  readonly tablespaces: ReadonlyMap<string, string>;
  /** Complete and durable, by number. */
  readonly parts: ReadonlyMap<number, CompletePart>;
  /** Symbolic links of complete parts, made when all parts are. */
  readonly links: readonly MarkedLink[];
  /** With --force: what lies there since before this moment, ms since 1970 by the file system's clock, is not of the restore. */
  readonly overMs?: number | undefined;
}

export interface CompletePart extends PartIdentity {
  /** Files among its members. */
  readonly files: number;
}

/** What tells whether the object in the store is the one that was restored. */
export interface PartIdentity {
  /** Bytes of the object. */
  readonly size: number;
  /** Its sha256 as our own sentinel states it; of the original's backups the date of the object. */
  readonly mark: string;
}

export interface RestoringProcess {
  readonly host: string;
  readonly pid: number;
}

/** Byte strings. */
export interface MarkedLink {
  /** The part that holds it. */
  readonly part: number;
  readonly path: string;
  readonly target: string;
}

const NOTE =
  'This directory holds an incomplete restore and must not be started. Run the same wal-e backup-fetch again: it goes on where it stopped.';
const MAX_BYTES = 256 * 1024 * 1024;
const ANY = /^.{1,8192}$/su;
/** What file systems without hard links answer. */
const NO_LINKS = ['EPERM', 'EMLINK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'];

export async function writeMarker(directory: string, marker: Marker): Promise<void> {
  await written(directory, marker, rename);
}

/** The first marker of a target: false when another one is there, whoever made it, from wherever. */
export async function createMarker(directory: string, marker: Marker): Promise<boolean> {
  try {
    await written(directory, marker, linkNew);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** The marker is never there in part: it is written under a name of its own, then put in place. */
async function written(
  directory: string,
  marker: Marker,
  put: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const path = join(directory, MARKER_FILE);
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(`${formatMarker(marker)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await put(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  syncFolder(directory);
}

/** Unlike a rename, a link replaces nothing, also where two machines make it at once. */
async function linkNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!isErrno(error, ...NO_LINKS)) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
  }
  await rm(from);
}

/** The same text for the same marker. */
export function formatMarker(marker: Marker): string {
  return JSON.stringify({
    note: NOTE,
    backup: marker.backup,
    ...marker.process,
    tablespaces: [...marker.tablespaces].map(([oid, location]) => ({ oid, location })),
    parts: [...marker.parts].map(([number, part]) => ({ number, ...part })),
    links: marker.links,
    overMs: marker.overMs,
  });
}

export async function removeMarker(directory: string): Promise<void> {
  await rm(join(directory, MARKER_FILE));
  syncFolder(directory);
}

/** Throws UserError when it cannot be understood: then nobody knows what the directory holds. */
export async function readMarker(directory: string): Promise<Marker> {
  const path = join(directory, MARKER_FILE);
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_BYTES) throw new UserError('it is too long');
    return parseMarker(JSON.parse(text));
  } catch (error) {
    // Who ran the restore so far may read it, and go on.
    if (isSystemError(error))
      throw systemError('could not read the marker file of the incomplete restore in the target', error);
    throw new UserError('the target holds an incomplete restore whose marker file cannot be read', {
      detail: `${path}: ${error instanceof Error ? error.message : String(error)}`,
      hint: 'Empty the directory and restore into it anew.',
      cause: error,
    });
  }
}

function parseMarker(json: unknown): Marker {
  const fields = new JsonFields(json, 'marker');
  const limit = 10_000_000;
  return {
    backup: fields.text('backup', ANY, 'a name'),
    process: { host: fields.text('host', ANY, 'a name'), pid: fields.integer('pid', 1) },
    tablespaces: new Map(
      fields
        .objects('tablespaces', limit)
        .map((entry) => [entry.text('oid', ANY, 'a name'), entry.text('location', ANY, 'a path')]),
    ),
    parts: new Map(
      fields.objects('parts', limit).map((entry) => [
        entry.integer('number'),
        {
          size: entry.integer('size'),
          mark: entry.text('mark', ANY, 'a text'),
          files: entry.integer('files'),
        },
      ]),
    ),
    links: fields.objects('links', limit).map((entry) => ({
      part: entry.integer('part'),
      path: entry.text('path', ANY, 'a path'),
      target: entry.text('target', ANY, 'a path'),
    })),
    overMs: fields.has('overMs') ? fields.integer('overMs') : undefined,
  };
}

/** Whether the part is there already: the same object, not only one of its number. */
export function isComplete(
  marker: Marker,
  { number, size, mark }: PartIdentity & { readonly number: number },
): boolean {
  const done = marker.parts.get(number);
  return done !== undefined && done.size === size && done.mark === mark;
}

export function describeProcess({ process: { host, pid } }: Marker): string {
  return host === hostname() ? `Process ${pid}` : `Process ${pid} of host ${host}`;
}

/** Whether the restore that left this marker is still at work, as far as this machine can tell. */
export async function isRestoring({ process: { host, pid } }: Marker): Promise<boolean> {
  if (host !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
  // The number may belong to another process by now: where /proc tells what it runs, that is believed.
  const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => 'backup-fetch');
  return words.includes('backup-fetch');
}
