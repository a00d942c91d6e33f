/**
 * What a piece of work costs: wall time, and CPU time of all threads. CPU time is what to look at for work that one
 * thread does alone: it is nearly the same on a busy machine.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface ProcessOptions {
  readonly stdin?: string;
  readonly stdout?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Work in this process, which must be synchronous. */
export function costOf(work: () => void): Cost {
  const cpu = process.cpuUsage();
  const started = performance.now();
  work();
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

/** Work in this process and its threads that is awaited. */
export async function costOfAwaited(work: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  await work();
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

/** bash counts CPU time in milliseconds, and wall time, where it is not of before 5.0, in microseconds. */
const TIMED =
  's=$EPOCHREALTIME; { time "$@" 2>&3; } 2>&4; status=$?; echo "$s $EPOCHREALTIME" >&4; exit $status';

/** A process, timed by bash from its start to its end. Throws unless it exits 0. */
export function costOfProcess(command: readonly string[], options: ProcessOptions = {}): Cost {
  const stdin = openSync(options.stdin ?? '/dev/null', 'r');
  const stdout = openSync(options.stdout ?? '/dev/null', 'w');
  const { status, output } = spawnSync('bash', ['-c', TIMED, 'bash', ...command], {
    stdio: [stdin, stdout, 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...options.env, TIMEFORMAT: '%R %U %S' },
    cwd: options.cwd,
  });
  closeSync(stdin);
  closeSync(stdout);
  if (status !== 0) throw new Error(`${command.join(' ')} exited ${status}: ${output[3]?.toString()}`);
  const [real, user, system, started, ended] = (output[4]?.toString() ?? '').trim().split(/\s+/).map(Number);
  if (real === undefined || user === undefined || system === undefined) throw new Error('bash gave no times');
  const seconds = started === undefined || ended === undefined ? real : ended - started;
  return { wallMs: seconds * 1000, cpuMs: (user + system) * 1000 };
}
