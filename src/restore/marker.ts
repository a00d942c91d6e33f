/**
 * The marker file: from the first byte written to the last it lies in the target and says that the restore is not
 * complete, and which parts are, so that a repeated run goes on where this one stopped.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { JsonFields } from '../archive/json-fields.ts';
import { UserError } from '../errors.ts';
import { syncFolder } from '../tar/folders.ts';
import { MARKER_FILE } from './members.ts';

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

export async function writeMarker(directory: string, marker: Marker): Promise<void> {
  const path = join(directory, MARKER_FILE);
  const temporary = `${path}.new`;
  const text = JSON.stringify({
    note: NOTE,
    backup: marker.backup,
    ...marker.process,
    tablespaces: [...marker.tablespaces].map(([oid, location]) => ({ oid, location })),
    parts: [...marker.parts].map(([number, part]) => ({ number, ...part })),
    links: marker.links,
  });
  // A link that lies there must not be followed.
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  syncFolder(directory);
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

/** Whether the restore that left this marker is still at work, as far as this machine can tell. */
export async function isRestoring({ process: { host, pid } }: Marker): Promise<boolean> {
  if (host !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // The number may belong to another process by now: where /proc tells what it runs, that is believed.
  const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => 'backup-fetch');
  return words.includes('backup-fetch');
}
