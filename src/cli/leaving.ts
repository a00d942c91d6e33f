/**
 * The end of a process in one of whose threads a system call hangs: process.exit waits for all threads, and so for a
 * file system that does not answer.
 */

/** How long what still runs may take to end by itself, as it does where nothing hangs. */
const PATIENCE_MS = 1000;
const LOOK_MS = 20;

/** Since Node 22.15. What it starts takes the process over, and the kernel ends all threads. */
type Execve = (file: string, args: readonly string[], environment: Readonly<Record<string, string>>) => never;

export interface Leaving {
  /**
   * Older versions of Node get rid of a thread that hangs only by SIGKILL, so that nobody sees the status. When this is
   * not wanted, the caller's exit waits.
   */
  readonly mayBeKilled: boolean;
  readonly patienceMs?: number;
  /** Whether worker threads that have not ended count, too: there is no asking whether one of their calls hangs. */
  readonly threadsToo?: boolean;
}

/** Ends the process with `status` when a call of the file system does not come back; else leaves that to the caller. */
export async function leaveHanging(status: number, options: Leaving): Promise<void> {
  const { mayBeKilled, patienceMs = PATIENCE_MS, threadsToo = false } = options;
  const hangs = () => isBusy(threadsToo ? ['FSReqCallback', 'MessagePort'] : ['FSReqCallback']);
  // The call whose answer has brought us here still counts until its callback returns.
  if (hangs()) await new Promise((resolve) => setImmediate(resolve));
  for (let waited = 0; hangs(); waited += LOOK_MS) {
    if (waited >= patienceMs) return endThreads(status, mayBeKilled);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function endThreads(status: number, mayBeKilled: boolean): void {
  const { execve } = process as { execve?: Execve };
  execve?.('/bin/sh', ['sh', '-c', `exit ${status}`], {});
  if (mayBeKilled) process.kill(process.pid, 'SIGKILL');
}

/** A call of the file system that has not come back is a FSReqCallback, a worker thread that we listen to a MessagePort. */
function isBusy(kinds: readonly string[]): boolean {
  return process.getActiveResourcesInfo().some((kind) => kinds.includes(kind));
}
