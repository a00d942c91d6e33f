/**
 * A file system that does not answer: the call hangs for real, in a thread of the program, in opening a named pipe that
 * nobody reads. What a process can do about that depends on Node (src/cli/leaving.ts).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFileStore } from '../../src/store/file.ts';
import { leastMembers, storeBackup } from '../harness/backup.ts';
import { poll } from '../harness/poll.ts';
import { logEntries, type RunningProgram, runProgram, startProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const HANGING = fileURLToPath(new URL('../harness/hanging-fs.cjs', import.meta.url));
const MB = 1024 * 1024;
const NAME = '000000010000000000000001';
const NEIGHBOUR = '000000010000000000000002';
const CAN_EXEC = 'execve' in process;

let scratch: string;
let pipe: string;
let segment: string;

beforeEach(() => {
  scratch = createScratch();
  pipe = join(scratch, 'pipe');
  segment = join(scratch, NAME);
  writeFileSync(segment, segmentBytes(NAME, MB, 1));
});

const prefix = () => join(scratch, 'prefix');
const environment = () => ({ WALE_FILE_PREFIX: `file://localhost${prefix()}` });

/** The program, whose `call` hangs from now on. */
function startHanging(call: string, args: readonly string[], deadline: number): RunningProgram {
  execFileSync('mkfifo', [pipe]);
  return startProgram(args, {
    cwd: scratch,
    environment: {
      ...environment(),
      WALE_DEADLINE: String(deadline),
      NODE_OPTIONS: `--require ${HANGING}`,
      HANG_CALL: call,
      HANG_PIPE: pipe,
    },
  });
}

/** `status` where this Node can say it, otherwise the signal that nobody can hold up. */
async function ended({ finished, child }: RunningProgram, status: number) {
  const { stderr } = await finished;
  expect([child.exitCode, child.signalCode], stderr).toEqual(CAN_EXEC ? [status, null] : [null, 'SIGKILL']);
  return logEntries(stderr).filter(({ level }) => level === 'ERROR');
}

const tooLate = (deadline: number, name = NAME) => [
  expect.objectContaining({
    message: `the store did not do what was asked within the deadline of ${deadline} s`,
    detail: `It was still at work on "file://localhost${prefix()}/wal_005/${name}.lzo".`,
  }),
];

describe('wal-push to a file system that hangs', () => {
  it.each(['open', 'fsync', 'link'])(
    'in %s fails at the deadline, names the object, and stores nothing',
    async (call) => {
      const running = startHanging(call, ['wal-push', '-p', '1', segment], 1);
      expect(await ended(running, 1)).toEqual(tooLate(1));
      const folder = join(prefix(), 'wal_005');
      const objects = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
      expect(objects).toEqual([]);
    },
  );

  it('succeeds at the next attempt, when the file system answers again', async () => {
    await startHanging('fsync', ['wal-push', '-p', '1', segment], 1).finished;
    rmSync(pipe);
    const { status, stderr } = await runProgram(['wal-push', '-p', '1', segment], {
      environment: environment(),
    });
    expect(status, stderr).toBe(0);
  });

  it('ends soon after a signal, and at once after a second one', async () => {
    for (const signals of [1, 2]) {
      rmSync(pipe, { force: true });
      const running = startHanging('fsync', ['wal-push', '-p', '1', segment], 0);
      await poll('it to begin', () => running.stderr().includes('begin archiving'));
      for (let sent = 0; sent < signals; sent += 1) {
        running.child.kill('SIGTERM');
        // Two of one kind that come together count as one.
        await poll('the signal to arrive', () => !hasPending(running.child.pid ?? 0));
      }
      const errors = await ended(running, 1);
      // After a second one nothing is waited for, and so nothing is said.
      const said = [expect.objectContaining({ message: 'interrupted by SIGTERM' })];
      expect(errors).toEqual(signals === 1 ? said : []);
    }
  });
});

/** Whether a signal was sent that the process has not taken yet. */
function hasPending(pid: number): boolean {
  try {
    return !/^ShdPnd:\t0+$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('wal-fetch from a file system that hangs', () => {
  const fetch = (call: string, name = NAME) => {
    const args = ['wal-fetch', '-p', '0', name, join(scratch, 'out')];
    return startHanging(call, args, 1);
  };
  const store = () => runProgram(['wal-push', '-p', '1', segment], { environment: environment() });

  it.each(['open', 'read'])('in %s stops a recovery at the deadline, and names the object', async (call) => {
    expect((await store()).status).toBe(0);
    writeFileSync(join(scratch, 'recovery.signal'), '');
    expect(await ended(fetch(call), 200)).toEqual(tooLate(1));
    expect(existsSync(join(scratch, 'out'))).toBe(false);
  });

  it('never says that the archive does not have a file while it does not know', async () => {
    expect((await store()).status).toBe(0);
    writeFileSync(join(scratch, 'recovery.signal'), '');
    expect(await ended(fetch('opendir', NEIGHBOUR), 200)).toEqual(tooLate(1, NEIGHBOUR));
  });

  it('lets a standby ask again, and does not stop its server', async () => {
    expect((await store()).status).toBe(0);
    writeFileSync(join(scratch, 'standby.signal'), '');
    const running = fetch('read');
    await poll('the failure', () => running.stderr().includes('within the deadline of 1 s'));
    // Where a thread that hangs holds up the exit, the status comes when the call returns.
    if (!CAN_EXEC) closeSync(openSync(pipe, 'r'));
    expect((await running.finished).status).toBe(1);
  });
});

describe('backup-fetch into a file system that hangs', () => {
  it('says so after a signal, and ends at once after a second one', async () => {
    await storeBackup(createFileStore(prefix()), { parts: [leastMembers()] });
    const data = join(scratch, 'data');
    const running = startHanging('fchmodSync', ['backup-fetch', data, 'LATEST'], 0);
    await poll('a file', () => existsSync(join(data, 'PG_VERSION')));
    running.child.kill('SIGTERM');
    await poll('its word', () => running.stderr().includes('interrupted by SIGTERM, and not yet at an end'));
    running.child.kill('SIGTERM');
    expect(await ended(running, 143)).toEqual([]);
  });
});
