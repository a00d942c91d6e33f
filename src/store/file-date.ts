/** Dates of files. Some file systems (tmpfs, btrfs, ZFS) keep dates that JavaScript has none for, and a Date of none is a trap. */
import type { Stats } from 'node:fs';

/** Furthest from 1970 that a Date can be, ms. */
const FURTHEST_MS = 8.64e15;

/** When the file was modified, or the nearest date that there is. */
export function modifiedOf({ mtimeMs }: Pick<Stats, 'mtimeMs'>): Date {
  return new Date(Math.max(-FURTHEST_MS, Math.min(mtimeMs, FURTHEST_MS)));
}
