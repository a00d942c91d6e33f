/**
 * Folders below a trusted directory, named by byte strings. Each is looked at once: it is either made here or is a real
 * directory already, so no path goes through a symbolic link, whoever put it there.
 */
import { chmodSync, closeSync, fsyncSync, lchownSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { bytesOf } from '../byte-string.ts';
import { isErrno } from '../errno.ts';
import { MemberError, shown } from './member-error.ts';

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

// Keeps memory bounded for an archive of endless folders; forgetting one only means to look at it again.
const MAX_KNOWN = 20_000;

export class Folders {
  #known = new Set<string>();

  /** Absolute path of `relative` below `base`, made with its parents (mode 0700) where it is not there. */
  ensure(base: string, relative: string, owner: Ids | undefined): string {
    if (relative === '') return this.#trust(base);
    const path = `${base}/${relative}`;
    if (this.#known.has(path)) return path;
    const real = bytesOf(path);
    this.ensure(base, relative.slice(0, Math.max(0, relative.lastIndexOf('/'))), owner);
    try {
      mkdirSync(real, 0o700);
      if (owner !== undefined) lchownSync(real, owner.uid, owner.gid);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (!lstatSync(real).isDirectory()) throw inTheWay(path, relative);
    }
    return this.#trust(path);
  }

  /** PostgreSQL starts only on 0700 or 0750. */
  restrict(path: string, mode: number, owner: Ids | undefined): void {
    const real = bytesOf(path);
    if (owner !== undefined) lchownSync(real, owner.uid, owner.gid);
    chmodSync(real, mode === 0o750 ? 0o750 : 0o700);
  }

  /** Makes the entries of every folder seen durable. */
  sync(): void {
    for (const path of this.#known) syncFolder(bytesOf(path));
    this.#known = new Set();
  }

  #trust(path: string): string {
    if (this.#known.size >= MAX_KNOWN) this.sync();
    this.#known.add(path);
    return path;
  }
}

export function syncFolder(path: string | Buffer): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function inTheWay(path: string, relative: string): MemberError {
  return new MemberError('refusing to restore through something that is not a directory', {
    detail: `${shown(path)} is a symbolic link or a file, and members of the backup lie below ${shown(relative)}.`,
    hint: 'Restore into an empty directory.',
  });
}
