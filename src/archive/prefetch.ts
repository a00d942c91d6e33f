/**
 * The spool of segments that were fetched before they are asked for, `.wal-e/prefetch` beside the WAL:
 *
 *     prefetch/<segment>                whole and checked
 *     prefetch/running/<segment>/<pid>  being written by that process
 *     prefetch/position                 the segment that was asked for last
 *     prefetch/child                    pid of the process that fetches ahead; touched whenever it gets on
 *     prefetch/end                      the first segment that the archive did not have
 *     prefetch/archive                  the archive that all of it came from
 *
 * Everything in it can be lost or removed at any time: then a segment is fetched in the ordinary way.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../errno.ts';
import { walFileKind } from '../postgres/segment.ts';
import { OWN_FOLDER } from '../program.ts';

/** A child that did not touch its lock for so long hangs, or its pid is another's by now. */
const CHILD_SILENCE_MS = 30_000;
/** How long "the archive does not have it" is believed. PostgreSQL asks again after 5 s. */
const END_MS = 4_000;

/** As PostgreSQL's own: its umask decides whether the group may read its files. */
export const WAL_MODE = 0o640;

export class Spool {
  readonly folder: string;
  readonly #archive: string;

  /** `walDirectory`: where the destination of wal-fetch is. `archive`: one line, different for different archives. */
  constructor(walDirectory: string, archive: string) {
    this.folder = join(walDirectory, OWN_FOLDER, 'prefetch');
    this.#archive = archive;
  }

  /** Path of the whole segment; it may not exist. */
  pathOf(name: string): string {
    return join(this.folder, name);
  }

  has(name: string): boolean {
    return existsSync(this.pathOf(name));
  }

  /** What came from another archive (a restore before this one, another prefix since) goes. */
  make(): void {
    if (this.#isOfThisArchive()) return;
    mkdirSync(join(this.folder, '..'), { recursive: true });
    for (const folder of [this.folder, join(this.folder, 'running')]) makeFolder(folder);
    this.clear();
    writeFileSync(join(this.folder, 'archive'), this.#archive, { mode: 0o600 });
  }

  /** Empties the spool, and tells who fills it to stop. Returns the pid of that process, when it lives. */
  clear(): string | undefined {
    const child = textOf(this.#child);
    for (const file of ['child', 'end', 'position', 'archive'])
      rmSync(join(this.folder, file), { force: true });
    this.keepOnly([]);
    return isAlive(child) ? child : undefined;
  }

  #isOfThisArchive(): boolean {
    return textOf(join(this.folder, 'archive')) === this.#archive;
  }

  /** Bytes that a live process has written of the segment so far; undefined when none is at it. */
  progress(name: string): number | undefined {
    const pids = entries(this.#running(name)).filter(isAlive);
    if (pids.length === 0) return undefined;
    return pids.reduce((sum, pid) => sum + sizeOf(join(this.#running(name), pid)), 0);
  }

  /** Makes the segment this process's own to fetch; returns the path to write to, or undefined when another one is at it. */
  claim(name: string): string | undefined {
    if (this.progress(name) !== undefined) return undefined;
    // Made apart and renamed, so that no claim is ever seen without the pid of its owner.
    const apart = join(this.folder, 'running', `claim.${process.pid}`);
    rmSync(apart, { recursive: true, force: true });
    makeFolder(apart);
    writeFileSync(join(apart, String(process.pid)), '', { mode: WAL_MODE });
    this.release(name);
    try {
      renameSync(apart, this.#running(name));
      return join(this.#running(name), String(process.pid));
    } catch (error) {
      rmSync(apart, { recursive: true, force: true });
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return undefined;
      throw error;
    }
  }

  /** Whether anybody's claim on the segment stands. */
  isClaimed(name: string): boolean {
    return existsSync(this.#running(name));
  }

  /** The claimed segment is whole. False when the spool was cleared meanwhile: nobody wants it any more. */
  publish(name: string, path: string): boolean {
    try {
      if (!this.#isOfThisArchive()) return false;
      renameSync(path, this.pathOf(name));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    } finally {
      this.release(name);
    }
  }

  release(name: string): void {
    rmSync(this.#running(name), { recursive: true, force: true });
  }

  discard(name: string): void {
    rmSync(this.pathOf(name), { recursive: true, force: true });
  }

  /**
   * Removes every other segment. First those in the making: the other way round one could be finished in between, and
   * stay.
   */
  keepOnly(names: readonly string[]): void {
    for (const folder of [join(this.folder, 'running'), this.folder]) {
      for (const entry of entries(folder)) {
        const abandoned = /^(?:claim|child)\.(\d+)$/.exec(entry)?.[1];
        const stale = abandoned === undefined ? walFileKind(entry) === 'segment' : !isAlive(abandoned);
        if (!stale || names.includes(entry)) continue;
        rmSync(join(folder, entry), { recursive: true, force: true });
      }
    }
  }

  setPosition(name: string): void {
    writeFileSync(join(this.folder, 'position'), name, { mode: 0o600 });
  }

  /** undefined also while it is being written. */
  position(): string | undefined {
    const name = textOf(join(this.folder, 'position'));
    return walFileKind(name) === 'segment' ? name : undefined;
  }

  /** Makes this process the one that fetches ahead; false when another one is. */
  becomeChild(): boolean {
    if (this.hasLiveChild()) return false;
    const own = join(this.folder, `child.${process.pid}`);
    try {
      // Out of the way, and looked at again: another one may have become the child since.
      if (move(this.#child, own) && isLiveChild(own)) {
        linkSync(own, this.#child);
        return false;
      }
      writeFileSync(own, String(process.pid), { mode: 0o600 });
      linkSync(own, this.#child);
      return true;
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false;
      throw error;
    } finally {
      rmSync(own, { force: true });
    }
  }

  hasLiveChild(): boolean {
    return isLiveChild(this.#child);
  }

  /** The child gets on. False when it is no longer the one: it was silent for too long. */
  touchChild(): boolean {
    if (textOf(this.#child) !== String(process.pid)) return false;
    try {
      utimesSync(this.#child, new Date(), new Date());
      return true;
    } catch (error) {
      // The spool was cleared since.
      if (isMissing(error)) return false;
      throw error;
    }
  }

  childEnds(): void {
    if (textOf(this.#child) === String(process.pid)) rmSync(this.#child, { force: true });
  }

  setEnd(name: string): void {
    writeFileSync(join(this.folder, 'end'), name, { mode: 0o600 });
  }

  /** Whether the archive was found not to have this segment just now. */
  isEnd(name: string): boolean {
    const path = join(this.folder, 'end');
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && distance(stat.mtimeMs) < END_MS && textOf(path) === name;
  }

  get #child(): string {
    return join(this.folder, 'child');
  }

  #running(name: string): string {
    return join(this.folder, 'running', name);
  }
}

function isLiveChild(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || distance(stat.mtimeMs) > CHILD_SILENCE_MS) return false;
  return isAlive(textOf(path));
}

/** False when there is nothing to move. */
function move(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Milliseconds between then and now. Where the clock was set back, what is in the future is not new. */
function distance(then: number): number {
  return Math.abs(Date.now() - then);
}

/** False when it is there already. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Whether this pid is a process that runs. */
export function isAlive(pid: string): boolean {
  if (!/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function isMissing(error: unknown): boolean {
  return isErrno(error, 'ENOENT', 'ENOTDIR');
}
