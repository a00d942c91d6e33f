/**
 * The spool of segments that were fetched before they are asked for, `.wal-e/prefetch` beside the WAL:
 *
 *     prefetch/<segment>                whole and checked
 *     prefetch/running/<segment>/<pid>  being written by that process
 *     prefetch/position                 the segment that was asked for last
 *     prefetch/child                    pid of the process that fetches ahead; touched whenever it gets on
 *     prefetch/end                      the first segment that the archive did not have
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
import { walFileKind } from '../postgres/segment.ts';

/** A child that did not touch its lock for so long hangs, or its pid is another's by now. */
const CHILD_SILENCE_MS = 30_000;
/** How long "the archive does not have it" is believed. PostgreSQL asks again after 5 s. */
const END_MS = 4_000;

export class Spool {
  readonly #folder: string;

  /** `walDirectory`: where the destination of wal-fetch is. */
  constructor(walDirectory: string) {
    this.#folder = join(walDirectory, '.wal-e', 'prefetch');
  }

  /** Path of the whole segment; it may not exist. */
  pathOf(name: string): string {
    return join(this.#folder, name);
  }

  has(name: string): boolean {
    return existsSync(this.pathOf(name));
  }

  make(): void {
    if (existsSync(join(this.#folder, 'running'))) return;
    mkdirSync(join(this.#folder, '..'), { recursive: true });
    for (const folder of [this.#folder, join(this.#folder, 'running')]) makeFolder(folder);
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
    const apart = join(this.#folder, 'running', `claim.${process.pid}`);
    rmSync(apart, { recursive: true, force: true });
    makeFolder(apart);
    writeFileSync(join(apart, String(process.pid)), '', { mode: 0o600 });
    this.release(name);
    try {
      renameSync(apart, this.#running(name));
      return join(this.#running(name), String(process.pid));
    } catch (error) {
      rmSync(apart, { recursive: true, force: true });
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return undefined;
      throw error;
    }
  }

  /** The claimed segment is whole. False when it was cleared meanwhile: nobody wants it any more. */
  publish(name: string, path: string): boolean {
    try {
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
    rmSync(this.pathOf(name), { force: true });
  }

  /** Removes every other segment, whole or in the making. */
  keepOnly(names: readonly string[]): void {
    for (const folder of [this.#folder, join(this.#folder, 'running')]) {
      for (const entry of entries(folder)) {
        const abandoned = /^(?:claim|child)\.(\d+)$/.exec(entry)?.[1];
        const stale = abandoned === undefined ? walFileKind(entry) === 'segment' : !isAlive(abandoned);
        if (!stale || names.includes(entry)) continue;
        rmSync(join(folder, entry), { recursive: true, force: true });
      }
    }
  }

  setPosition(name: string): void {
    writeFileSync(join(this.#folder, 'position'), name, { mode: 0o600 });
  }

  /** undefined also while it is being written. */
  position(): string | undefined {
    const name = textOf(join(this.#folder, 'position'));
    return walFileKind(name) === 'segment' ? name : undefined;
  }

  /** Makes this process the one that fetches ahead; false when another one is. */
  becomeChild(): boolean {
    if (this.hasLiveChild()) return false;
    const own = join(this.#folder, `child.${process.pid}`);
    writeFileSync(own, String(process.pid), { mode: 0o600 });
    try {
      rmSync(this.#child, { force: true });
      linkSync(own, this.#child);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    } finally {
      rmSync(own, { force: true });
    }
  }

  hasLiveChild(): boolean {
    const stat = statSync(this.#child, { throwIfNoEntry: false });
    if (stat === undefined || Date.now() - stat.mtimeMs > CHILD_SILENCE_MS) return false;
    return isAlive(textOf(this.#child));
  }

  /** The child gets on. False when it is no longer the one: it was silent for too long. */
  touchChild(): boolean {
    if (textOf(this.#child) !== String(process.pid)) return false;
    utimesSync(this.#child, new Date(), new Date());
    return true;
  }

  childEnds(): void {
    if (textOf(this.#child) === String(process.pid)) rmSync(this.#child, { force: true });
  }

  setEnd(name: string): void {
    writeFileSync(join(this.#folder, 'end'), name, { mode: 0o600 });
  }

  /** Whether the archive was found not to have this segment just now. */
  isEnd(name: string): boolean {
    const path = join(this.#folder, 'end');
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.mtimeMs < END_MS && textOf(path) === name;
  }

  get #child(): string {
    return join(this.#folder, 'child');
  }

  #running(name: string): string {
    return join(this.#folder, 'running', name);
  }
}

/** False when it is there already. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
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
    return hasCode(error, 'EPERM');
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
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
