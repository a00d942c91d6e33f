/** Names of the cluster's owners for the tar headers, so that a restore on another machine finds its own numbers. */
import { readFileSync } from 'node:fs';

export interface OwnerNames {
  /** Empty when the local files do not know the number. */
  user(uid: number): string;
  group(gid: number): string;
}

export function ownerNames(): OwnerNames {
  const users = names('/etc/passwd');
  const groups = names('/etc/group');
  return { user: (uid) => users.get(uid) ?? '', group: (gid) => groups.get(gid) ?? '' };
}

/** The first name of each number counts: passwd(5), group(5). */
function names(path: string): ReadonlyMap<number, string> {
  const known = new Map<number, string>();
  for (const line of linesOf(path)) {
    const [name, , id] = line.split(':');
    if (name && id !== undefined && /^\d+$/.test(id) && !known.has(Number(id))) known.set(Number(id), name);
  }
  return known;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
