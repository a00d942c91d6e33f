/** Who started this process, from Linux's /proc. Everything here throws where that cannot be read. */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

export function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name, in parentheses, may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

export function isServerProgram(pid: number): boolean {
  return basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('postgres');
}

const MOST_ABOVE = 16;

/** The process of a server that started us, by whatever shells and scripts. */
export function callingServer(): number | undefined {
  try {
    let pid = process.ppid;
    for (let above = 0; above < MOST_ABOVE && pid > 1; above += 1) {
      if (isServerProgram(pid)) return pid;
      pid = parentOf(pid);
    }
  } catch {
    // Processes of other users are not ours to look at: then it is no server of this user's.
  }
  return undefined;
}

/** The data directory of that server: its processes work there. */
export function callingServerDirectory(): string | undefined {
  const pid = callingServer();
  try {
    return pid === undefined ? undefined : readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It has ended.
    return undefined;
  }
}
