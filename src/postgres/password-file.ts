/**
 * The password file of libpq (`~/.pgpass`): lines of `host:port:database:user:password`, `*` for any, `\` in front of a
 * colon or backslash that is part of a field, `#` at the start of a comment. The first line that fits counts.
 */
import { readFile, stat } from 'node:fs/promises';
import { isErrno } from '../errno.ts';

export interface Login {
  /** All names that the server goes by: a Unix socket in its usual place is `localhost` too. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

export interface PasswordLookUp {
  /** undefined: the file has none for this login, does not exist, or was not looked into. */
  readonly password?: string;
  /** Why it was not looked into although it is there, for a message. */
  readonly ignored?: string;
}

/**
 * A file that others could read, or that cannot be read or is none, is not used, as in libpq. Whether that matters shows
 * later: the server may not ask for a password at all.
 */
export async function readPassword(path: string, login: Login): Promise<PasswordLookUp> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return { ignored: `"${path}" is no plain file` };
    if ((found.mode & 0o077) !== 0) return { ignored: `others may read "${path}": chmod 0600` };
    const password = findPassword(await readFile(path, 'utf8'), login);
    return password === undefined ? {} : { password };
  } catch (error) {
    return isErrno(error, 'ENOENT', 'ENOTDIR') ? {} : { ignored: (error as Error).message };
  }
}

export function findPassword(text: string, login: Login): string | undefined {
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const [host, port, database, user, password] = fields(line);
    if (password === undefined || host === undefined) continue;
    const fits =
      (host === ANY || login.hosts.includes(unescaped(host))) &&
      isOneOf(port, String(login.port)) &&
      isOneOf(database, login.database) &&
      isOneOf(user, login.user);
    if (fits) return unescaped(password);
  }
  return undefined;
}

const ANY = '*';

/** The password is the rest of the line; an unescaped colon in it belongs to it. */
function fields(line: string): string[] {
  const match = /^((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):(.*)$/.exec(line);
  return match === null ? [] : match.slice(1);
}

function isOneOf(field: string | undefined, wanted: string): boolean {
  return field === ANY || (field !== undefined && unescaped(field) === wanted);
}

function unescaped(field: string): string {
  return field.replace(/\\(.)/g, '$1');
}
