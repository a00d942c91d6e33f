/** Small file systems that fill up for real. Only root can mount them; they are unmounted when the test has ended. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createScratch } from './scratch.ts';

/** Whether this process may mount a file system. */
export function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const folder = join(createScratch(), 'probe');
  mkdirSync(folder);
  if (spawnSync('mount', ['-t', 'tmpfs', 'none', folder], { stdio: 'ignore' }).status !== 0) return false;
  execFileSync('umount', [folder]);
  return true;
}

/** An empty file system of so many bytes over `folder`; returns the folder. */
export function mountSmall(folder: string, bytes: number): string {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'none', folder]);
  onTestFinished(() => {
    // Lazily: a process that fetches ahead may still look at it.
    execFileSync('umount', ['-l', folder]);
  });
  return folder;
}
