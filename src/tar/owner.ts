/**
 * Owners as the archive names them: by name where this machine knows it, else by number. Asked once for each name:
 * the local files first, then `getent`, which knows directory services too.
 */
import { readFileSync } from 'node:fs';
import type { Ids } from './folders.ts';
import type { Member } from './member.ts';

export type OwnerOf = (member: Pick<Member, 'uid' | 'gid' | 'userName' | 'groupName'>) => Ids;

/** `lookUp` answers the number of a name in `passwd` or `group`, undefined when nobody has it. */
export function ownersBy(
  lookUp: (database: 'passwd' | 'group', name: string) => number | undefined,
): OwnerOf {
  const remember = (database: 'passwd' | 'group') => {
    const known = new Map<string, number | undefined>();
    return (name: string, fallback: number) => {
      if (name === '') return fallback;
      if (!known.has(name) && known.size < 1000) known.set(name, lookUp(database, name));
      return known.get(name) ?? fallback;
    };
  };
  const user = remember('passwd');
  const group = remember('group');
  return ({ uid, gid, userName, groupName }) => ({ uid: user(userName, uid), gid: group(groupName, gid) });
}

/** The third field of `name:x:NUMBER:...` (passwd(5) and group(5) agree on the first three). */
export function idIn(text: string, name: string): number | undefined {
  for (const line of text.split('\n')) {
    const [entry, , id] = line.split(':');
    if (entry === name && id !== undefined && /^\d{1,10}$/.test(id)) return Number(id);
  }
  return undefined;
}

/** For this machine. `getent` runs the program of that name and yields its output, '' when it fails. */
export function machineOwners(getent: (database: string, name: string) => string): OwnerOf {
  return ownersBy((database, name) => {
    // A name that could be taken for an option or a number is never passed on.
    if (!/^[A-Za-z_][A-Za-z0-9_.@-]{0,255}$/.test(name)) return undefined;
    return idIn(readIfThere(`/etc/${database}`), name) ?? idIn(getent(database, name), name);
  });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
