/**
 * Whose processes the servers under test are. PostgreSQL refuses to run as root, so a test run by root starts them
 * as another user; everybody else starts them as himself.
 */
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const PREFERRED = ['nobody', 'postgres'];

/** Throws when root has nobody else to run a server as. */
export function serverAccount(): Account {
  const { username, uid, gid } = userInfo();
  if (uid !== 0) return { name: username, uid, gid };
  const others = accounts().filter((account) => account.uid !== 0);
  const account =
    PREFERRED.map((name) => others.find((other) => other.name === name)).find(Boolean) ?? others[0];
  if (account === undefined)
    throw new Error('no user but root in /etc/passwd: PostgreSQL does not run as root');
  return account;
}

function accounts(): Account[] {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const [name = '', , uid, gid] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid) };
  });
}

/** Whether any user can read the file: it and every folder above it. */
export function isOpenToAll(path: string): boolean {
  if ((statSync(path).mode & 0o005) !== 0o005) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
