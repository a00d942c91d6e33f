/** The built program as a user starts it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const PROGRAM = fileURLToPath(new URL('../../bin/wal-e.cjs', import.meta.url));

export interface ProgramOptions {
  /** All that it sees besides PATH and HOME. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly limitMs?: number | undefined;
}

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runProgram(
  args: readonly string[],
  { environment, cwd, limitMs = 60_000 }: ProgramOptions = {},
): Promise<ProgramResult> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
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
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { status, stdout, stderr };
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
