/** The detached process that fetches ahead. */
import { spawn } from 'node:child_process';

/**
 * Starts `wal-prefetch` with the global options of this call. It gets no streams of ours, or PostgreSQL, which may wait
 * for them to be closed, would wait for it.
 */
export function startPrefetch(walDirectory: string, first: string, count: number): void {
  const [program = '', script = '', ...words] = process.argv;
  const verb = words.indexOf('wal-fetch');
  // Only the program's own command line can be repeated.
  if (verb === -1) return;
  const globals = words.slice(0, verb);
  const args = [...globals, 'wal-prefetch', '--count', String(count), walDirectory, first];
  const child = spawn(program, [...process.execArgv, script, ...args], { detached: true, stdio: 'ignore' });
  // Fetching ahead is a help, not a duty: without it the next segment is fetched when it is asked for.
  child.on('error', () => {});
  child.unref();
}
