/** The built program as a user starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const PROGRAM = fileURLToPath(new URL('../../bin/wal-e.cjs', import.meta.url));

export interface ProgramOptions {
  /** All that it sees besides PATH and HOME. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly limitMs?: number | undefined;
  /** The user who runs it, where we may choose. */
  readonly uid?: number | undefined;
  /** A program and its arguments that runs the command line which follows: strace, say. */
  readonly wrapper?: readonly string[] | undefined;
}

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningProgram {
  readonly child: ChildProcess;
  /** Everything so far. */
  readonly stderr: () => string;
  readonly finished: Promise<ProgramResult>;
}

export async function runProgram(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return startProgram(args, options).finished;
}

export function startProgram(
  args: readonly string[],
  { environment, cwd, limitMs = 240_000, uid, wrapper = [] }: ProgramOptions = {},
): RunningProgram {
  const { PATH = '', HOME = '' } = process.env;
  const [command = process.execPath, ...rest] = [...wrapper, process.execPath, PROGRAM, ...args];
  const child = spawn(command, rest, {
    cwd,
    uid,
    env: { PATH, HOME, WALE_LOG_DESTINATION: 'stderr', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const finished = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject).once('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { child, stderr: () => stderr, finished };
}

export interface LogEntry {
  readonly logger: string;
  readonly level: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly structured: Readonly<Record<string, string>>;
}

const ENTRY = /^(?<logger>\S+) +(?<level>[A-Z]+) +MSG: (?<rest>.*(?:\n {8}.*)*)$/gm;

/** The records of a standard error in the original's form. */
export function logEntries(stderr: string): LogEntry[] {
  return [...stderr.matchAll(ENTRY)].map(({ groups = {} }) => {
    const lines = (groups.rest ?? '').split('\n        ');
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const pairs = (field('STRUCTURED') ?? '').split(' ').map((pair) => pair.split('=', 2));
    return {
      logger: groups.logger ?? '',
      level: groups.level ?? '',
      message: lines[0] ?? '',
      detail: field('DETAIL'),
      hint: field('HINT'),
      structured: Object.fromEntries(pairs),
    };
  });
}
