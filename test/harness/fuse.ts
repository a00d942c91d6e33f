/**
 * A file system that fails as those of networks do: late, or not at all. It is a process of its own that shows a folder
 * through /dev/fuse (fuse/server.mjs); only root can mount it. Nothing but Linux is needed for it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { createScratch } from './scratch.ts';

const SERVER = fileURLToPath(new URL('fuse/server.mjs', import.meta.url));

/** The first rule that fits a request tells what becomes of it; a request without one is answered as it should be. */
export interface FuseRule {
  /** As the kernel calls it: flush is what close() waits for, fsyncdir the sync of a folder. */
  readonly operation: string;
  /** A part of the path. */
  readonly path?: string;
  readonly errno?: string;
  /** The rule ends when this operation was asked for. */
  readonly until?: string;
  /** With errno: what was asked for is done nevertheless. */
  readonly done?: boolean;
  /** It is never answered. */
  readonly hang?: boolean;
  readonly delayMs?: number;
  /** The file system dies of it, as if its process were killed. */
  readonly kill?: boolean;
  /**
   * Of opendir: from so many entries on, what an entry is has to be asked for: from 0 with sshfs or on ext4 without `filetype`,
   * from somewhere on with NFS in large folders.
   */
  readonly untyped?: number;
}

export interface Fuse {
  /** Where it is mounted. */
  readonly folder: string;
  /** What it shows. */
  readonly behind: string;
  /** These rules hold, instead of those before. */
  obey(...rules: FuseRule[]): void;
  /** As `kill -9`: everything fails from now on, also what hangs. */
  kill(): void;
}

/** undefined where this machine, or this user, cannot mount any. Unmounted when the test has ended. */
export function mountFuse(): Fuse | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/dev/fuse')) return undefined;
  const scratch = createScratch();
  const [folder, behind, rules] = [join(scratch, 'mounted'), join(scratch, 'behind'), join(scratch, 'rules')];
  for (const path of [folder, behind]) mkdirSync(path);
  let number = 0;
  const obey = (...now: FuseRule[]) => {
    number += 1;
    writeFileSync(`${rules}.new`, JSON.stringify({ number, rules: now }));
    renameSync(`${rules}.new`, rules);
  };
  obey();
  const device = openDevice();
  if (device === undefined) return undefined;
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions';
  const mount = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'wale-test', folder], {
    stdio: ['ignore', 'ignore', 'ignore', device],
  });
  if (mount.status !== 0) {
    closeSync(device);
    return undefined;
  }
  const server = spawn(process.execPath, [SERVER, behind, rules], {
    stdio: ['ignore', 'ignore', 'inherit', device],
  });
  closeSync(device);
  const kill = () => void server.kill('SIGKILL');
  onTestFinished(() => {
    kill();
    spawnSync('umount', ['-l', folder]);
  });
  return { folder, behind, obey, kill };
}

function openDevice(): number | undefined {
  try {
    return openSync('/dev/fuse', 'r+');
  } catch {
    return undefined;
  }
}
