/** Calls of the program, by an operator and by servers, and their deaths. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { logEntries, type ProgramResult, startProgram } from '../harness/program.ts';

/** In the environment of every process that belongs to this soak. */
export const MARK = { WALE_SOAK: String(process.pid), WALE_LOG_DESTINATION: 'stderr' };

export interface Operator {
  readonly environment: Readonly<Record<string, string>>;
  readonly random: () => number;
  readonly say: (what: string) => void;
}

export interface CallOptions {
  /** Besides the operator's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** One in four is killed (status null), sooner or later; none when false. */
  readonly mortal?: boolean;
}

export async function call(
  operator: Operator,
  args: readonly string[],
  { environment = {}, mortal = true }: CallOptions = {},
): Promise<ProgramResult> {
  const { child, finished } = startProgram(['--terse', ...args], {
    environment: { ...MARK, ...operator.environment, ...environment },
    limitMs: 900_000,
  });
  const patience = mortal && operator.random() < 0.25 ? operator.random() * 2500 : undefined;
  const timer = patience === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), patience);
  const result = await finished;
  clearTimeout(timer);
  operator.say(`${args[0]} ${result.status === null ? 'was killed' : `exited ${result.status}`}`);
  for (const message of new Set(logEntries(result.stderr).map((entry) => `${entry.level} ${entry.message}`)))
    operator.say(`    ${message}`);
  return result;
}

/** How often a call of each kind that is found running is killed. */
const DANGER: Readonly<Record<string, number>> = {
  'wal-push': 0.2,
  'wal-prefetch': 0.2,
  // The server ends, too, and has to be started again.
  'wal-fetch': 0.05,
};

const SUSPENDED = 0.1;
const LONGEST_SUSPENSION_S = 4;

/**
 * Calls by PostgreSQL, which may end at any moment without harm, are killed at random until the signal aborts; others are
 * suspended for a while, as all are with their machine.
 */
export async function disturbCalls(random: () => number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(400 * random());
    const calls = runningCalls();
    const chosen = calls[Math.floor(random() * calls.length)];
    if (chosen === undefined) continue;
    if (random() < (DANGER[chosen.verb] ?? 0)) kill(chosen.pid);
    else if (random() < SUSPENDED) suspend(chosen.pid, random() * LONGEST_SUSPENSION_S);
  }
}

function runningCalls(): { readonly pid: number; readonly verb: string }[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const words = procFile(entry, 'cmdline').split('\0');
      const verb = words.find((word) => Object.hasOwn(DANGER, word));
      // At the end of a recovery PostgreSQL asks for a history when it has forgotten that it recovers: it would start on
      // the old timeline.
      if (verb === undefined || words.some((word) => word.endsWith('.history'))) return [];
      const ours = procFile(entry, 'environ').split('\0').includes(`WALE_SOAK=${MARK.WALE_SOAK}`);
      return ours ? [{ pid: Number(entry), verb }] : [];
    });
}

function procFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended before us.
  }
}

/** By a process of its own, so that nothing stays suspended when this one ends. */
function suspend(pid: number, seconds: number): void {
  const script = 'kill -STOP "$0" && sleep "$1"; kill -CONT "$0"';
  spawn('sh', ['-c', script, String(pid), String(seconds)], { detached: true, stdio: 'ignore' }).unref();
}
