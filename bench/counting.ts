/**
 * CPU instructions that a program executes in user space: by the processor's own counters (perf) where they may be
 * read, else by valgrind, which runs all threads of a process in turn on a processor of its own making. The two count
 * differently (valgrind has other CPU features), so each has baselines of its own.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { cached } from './data.ts';

export interface Counter {
  readonly name: 'perf' | 'valgrind';
  /** How often a work is counted; what is taken is the median. */
  readonly rounds: number;
  /** Instructions of the process with its threads; it must start no others. Throws unless it exits 0. */
  count(command: readonly string[], options: CountOptions): number;
}

export interface CountOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The better one of those that work here; undefined: none does. */
export function findCounter(): Counter | undefined {
  return [PERF, VALGRIND].find((counter) => {
    try {
      return counter.count(['true'], {}) > 0;
    } catch {
      return false;
    }
  });
}

const PERF: Counter = {
  name: 'perf',
  rounds: 11,
  count(command, options) {
    const report = cached(`perf.${process.pid}`);
    const own = ['stat', '-x', ',', '-e', 'instructions:u', '-o', report];
    return reported('perf', [...own, ...command], options, report, /^(\d+),/m);
  },
};

const VALGRIND: Counter = {
  name: 'valgrind',
  rounds: 3,
  count(command, options) {
    const report = cached(`valgrind.${process.pid}`);
    // V8 writes machine code where other code was.
    const own = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file'];
    const args = [...own, `--log-file=${report}`, ...command];
    return reported('valgrind', args, options, report, /Collected : (\d+)/);
  },
};

function reported(
  program: string,
  args: readonly string[],
  { cwd, env }: CountOptions,
  report: string,
  figure: RegExp,
): number {
  try {
    const { status, stderr, error } = spawnSync(program, args, {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited ${status}: ${stderr}`);
    const [, count] = figure.exec(readFileSync(report, 'utf8')) ?? [];
    if (count === undefined) throw new Error(`${program} counted nothing`);
    return Number(count);
  } finally {
    rmSync(report, { force: true });
  }
}
