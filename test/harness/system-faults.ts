/** Faults that only the system can make: system calls that fail, a disk that is full. Both need what not every machine has. */
import { spawnSync } from 'node:child_process';

/**
 * Wraps a program so that system calls, on `path` or all of that name, fail as strace is told; undefined where strace is
 * not there or may not.
 */
export function failingCalls(call: string, fault: string, path?: string): readonly string[] | undefined {
  const quiet = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null'];
  const works = spawnSync('strace', [...quiet.slice(1), '-e', 'trace=none', 'true']).status === 0;
  if (!works) return undefined;
  return [
    ...quiet,
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:${fault}`,
    ...(path === undefined ? [] : ['-P', path]),
  ];
}

/**
 * Wraps a program so that `folder` is a file system of so many megabytes, seen by it alone and gone with it; what it
 * leaves there is written to standard output, a path a line. undefined where we may not mount.
 */
export function smallDisk(folder: string, megabytes: number): readonly string[] | undefined {
  const unshare = process.getuid?.() === 0 ? ['unshare', '-m'] : ['unshare', '-r', '-m'];
  const script = `mount -t tmpfs -o size=${megabytes}m tmpfs "$0" && { "$@"; status=$?; find "$0" -type f; exit $status; }`;
  const [command = '', ...rest] = [...unshare, 'sh', '-c', script, folder];
  if (spawnSync(command, [...rest, 'true']).status !== 0) return undefined;
  return [command, ...rest];
}

/** Says why a test of faults is skipped, where nobody would look otherwise. */
export function orSkip<T>(wrapper: T | undefined, skip: (note: string) => never, need: string): T {
  return wrapper ?? skip(`this machine has no ${need}, or does not let us use it`);
}
