/** The detached process that fetches ahead. */
import { spawn } from 'node:child_process';
import type { GlobalOptions } from '../settings/settings.ts';

export interface PrefetchStart {
  readonly walDirectory: string;
  readonly first: string;
  readonly count: number;
  readonly segmentBytes: number;
  /** Of this call, wherever they stood in its command line: the other process must mean the same archive. */
  readonly globals: GlobalOptions;
}

/**
 * Starts `wal-prefetch`. It gets no streams of ours, or PostgreSQL, which may wait for them to be closed, would wait for
 * it.
 */
export function startPrefetch(start: PrefetchStart): void {
  const [program = '', script = '', ...words] = process.argv;
  // Only the program itself can be started again.
  if (!words.includes('wal-fetch')) return;
  const { walDirectory, first, count, segmentBytes, globals } = start;
  const options = [`--count=${count}`, `--segment-bytes=${segmentBytes}`];
  const args = [...globalWords(globals), 'wal-prefetch', ...options, walDirectory, first];
  const child = spawn(program, [...process.execArgv, script, ...args], { detached: true, stdio: 'ignore' });
  // Fetching ahead is a help, not a duty: without it the next segment is fetched when it is asked for.
  child.on('error', () => {});
  child.unref();
}

function globalWords(globals: GlobalOptions): string[] {
  return Object.entries(globals).flatMap(([key, value]) => {
    if (value === undefined || value === false) return [];
    const name = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [name] : [`${name}=${value}`];
  });
}
