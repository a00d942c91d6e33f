/** Small file systems that fill up for real. Only root can mount them; they are unmounted when the test has ended. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
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

/**
 * The folders of these names, on a file system whose inode numbers need 64 bits (overlay's; Lustre has such numbers, too):
 * as numbers of JavaScript they are all the same. undefined where the system makes none.
 */
export function mountLargeInodes(names: readonly string[]): string | undefined {
  const folder = createScratch();
  const [lower = '', upper = '', merged = ''] = ['lower', 'upper', 'merged'].map((name) =>
    join(folder, name),
  );
  for (const path of [lower, upper, merged]) mkdirSync(path);
  for (const path of [lower, upper]) mountSmall(path, 1024 * 1024);
  for (const path of [...names.map((name) => join(lower, name)), join(upper, 'up'), join(upper, 'work')])
    mkdirSync(path);
  const options = `xino=on,lowerdir=${lower},upperdir=${join(upper, 'up')},workdir=${join(upper, 'work')}`;
  if (spawnSync('mount', ['-t', 'overlay', '-o', options, 'none', merged], { stdio: 'ignore' }).status !== 0)
    return undefined;
  onTestFinished(() => {
    execFileSync('umount', ['-l', merged]);
  });
  const numbers = new Set(names.map((name) => statSync(join(merged, name)).ino));
  return numbers.size === 1 ? merged : undefined;
}
