/** A file that PostgreSQL wants archived, as it is on disk. Everything here is synchronous: one file is one call's work. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { DataError, UserError } from '../errors.ts';
import { type WalFileKind, walFileKind } from '../postgres/segment.ts';
import { checkText } from '../postgres/wal-content.ts';
import { checkSegment } from '../postgres/wal-page.ts';

/** What tells this file from another of the same name, and from itself after a change. */
export interface WalFile {
  /** As given: absolute, or relative to the working directory. */
  readonly path: string;
  readonly name: string;
  readonly kind: Exclude<WalFileKind, 'other'>;
  /** Bytes. */
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

/** Throws UserError when there is no such file, or it is not one that PostgreSQL archives. */
export function statWalFile(path: string): WalFile {
  const name = basename(path);
  const kind = walFileKind(name);
  if (kind === 'other') throw notAWalFile(path);
  try {
    const stat = statSync(path, { bigint: true });
    if (!stat.isFile()) throw new UserError('not a regular file', { detail: `The path is "${path}".` });
    const { mtimeNs, ino } = stat;
    return { path, name, kind, size: Number(stat.size), mode: Number(stat.mode), mtimeNs, inode: ino };
  } catch (error) {
    throw pathError(path, error);
  }
}

/**
 * The file, open for one reading from start to end. The first read is checked: a segment must be that segment, the
 * others must be text.
 */
export class OpenWalFile {
  readonly #file: WalFile;
  readonly #descriptor: number;
  #position = 0;

  constructor(file: WalFile) {
    this.#file = file;
    this.#descriptor = open(file.path);
    try {
      this.checkUnchanged();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Fills `into` from its start, short only at the end of the file. */
  read(into: Uint8Array): number {
    let length = 0;
    while (length < into.length) {
      const count = this.#readOnce(into, length);
      if (count === 0) break;
      length += count;
    }
    if (this.#position === 0) this.#check(into.subarray(0, length));
    this.#position += length;
    if (length < into.length && this.#position !== this.#file.size) throw changed(this.#file);
    return length;
  }

  #readOnce(into: Uint8Array, at: number): number {
    try {
      return readSync(this.#descriptor, into, at, into.length - at, null);
    } catch (error) {
      throw pathError(this.#file.path, error);
    }
  }

  /** Throws when the file is no longer the one that `statWalFile` saw: what was read is then no one state of it. */
  checkUnchanged(): void {
    const { size, mtimeNs, inode } = this.#file;
    const now = fstatSync(this.#descriptor, { bigint: true });
    if (now.size !== BigInt(size) || now.mtimeNs !== mtimeNs || now.ino !== inode) throw changed(this.#file);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #check(start: Uint8Array): void {
    const { name, kind, size } = this.#file;
    if (kind === 'segment' || kind === 'partial') checkWaiting(name, size, start);
    else checkText(name, size, start);
  }
}

/** PostgreSQL asks again and again for what can never be archived, and for nothing else meanwhile. */
function checkWaiting(name: string, size: number, start: Uint8Array): void {
  try {
    checkSegment(name, size, start);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(error.message, {
      detail: error.detail,
      hint:
        'PostgreSQL archives nothing else while it asks for this file. If the server has left this timeline, the file was only made ahead ' +
        `(archive_mode = always asks for such files): remove "archive_status/${name}.ready". If not, WAL is lost: remove it too, and take a base backup at once.`,
    });
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw pathError(path, error);
  }
}

function pathError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code !== 'ENOENT') {
    const detail = `"${path}": ${error.message}`;
    return new UserError('could not read a file for wal-push', { detail, cause: error });
  }
  return new UserError('could not find file for wal-push', {
    detail: `The operating system reported: No such file or directory '${path}'`,
    cause: error,
  });
}

function changed(file: WalFile): DataError {
  return new DataError(`${file.name} changed while it was read`, {
    detail: `The path is "${file.path}". Nothing was archived.`,
    hint: 'Only files that PostgreSQL has finished are archived; call wal-push from archive_command.',
  });
}

function notAWalFile(path: string): UserError {
  return new UserError('not the name of a WAL file', {
    detail: `The path is "${path}".`,
    hint: "wal-push archives segments, .partial, .history and .backup files: archive_command = 'wal-e … wal-push %p'.",
  });
}
