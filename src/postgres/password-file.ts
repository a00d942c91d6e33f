/**
 * The password file of libpq (`~/.pgpass`): lines of `host:port:database:user:password`, `*` for any, `\` in front of a
 * colon or backslash that is part of a field, `#` at the start of a comment. The first line that fits counts.
 */
import { readFile, stat } from 'node:fs/promises';
import { UserError } from '../errors.ts';

export interface Login {
  /** All names that the server goes by: a Unix socket in its usual place is `localhost` too. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** undefined: the file has none for this login, or does not exist. Throws when others could read it, as libpq warns. */
export async function readPassword(path: string, login: Login): Promise<string | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw tooOpen(path);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return findPassword(text, login);
}

function tooOpen(path: string): UserError {
  return new UserError('the password file can be read by others', {
    detail: `It is "${path}".`,
    hint: 'Make it readable by its owner only: chmod 0600.',
  });
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
