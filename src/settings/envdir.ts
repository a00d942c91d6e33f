/**
 * `--envdir DIR` as daemontools' envdir reads it: a file is a variable, its first line the value without trailing blanks
 * and tabs, a NUL stands for a line feed, an empty file removes the variable (https://cr.yp.to/daemontools/envdir.html).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isErrno } from '../errno.ts';
import { SettingError } from '../errors.ts';

/** Variable -> value; undefined removes it. Throws SettingError when the folder or one of its files cannot be read. */
export function readEnvdir(directory: string): ReadonlyMap<string, string | undefined> {
  try {
    const names = readdirSync(directory).filter((name) => !name.startsWith('.'));
    return new Map(names.map((name) => [checked(name), parseEnvFile(readEnvFile(`${directory}/${name}`))]));
  } catch (error) {
    if (error instanceof SettingError) throw error;
    throw new SettingError('could not read the envdir', {
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Give --envdir a folder whose files this user can read.',
      cause: error,
    });
  }
}

function readEnvFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    // Of a folder Node tells only that it is one, not which.
    if (!isErrno(error, 'EISDIR')) throw error;
    throw new SettingError('could not read the envdir', {
      detail: `"${path}" is a folder.`,
      hint: 'Each file of an envdir is a variable. A folder may be there if its name begins with a dot.',
      cause: error,
    });
  }
}

/** undefined: the file is empty, the variable is to be removed. */
export function parseEnvFile(content: Uint8Array): string | undefined {
  if (content.length === 0) return undefined;
  const text = new TextDecoder().decode(content);
  const end = text.indexOf('\n');
  return (end === -1 ? text : text.slice(0, end)).replace(/[ \t]+$/, '').replaceAll('\0', '\n');
}

function checked(name: string): string {
  if (!name.includes('=')) return name;
  throw new SettingError('could not read the envdir', {
    detail: `The name of the file "${name}" contains "=".`,
  });
}
