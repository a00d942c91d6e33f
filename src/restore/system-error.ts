/** What the operating system refuses, in words that say what to do. */

import { errnoText, isDiskFull, isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** `message` says what was being done. Errors of other kinds are given back as they are. */
export function systemError(message: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new UserError(message, { detail: errnoText(error), hint: hintFor(error), cause: error });
}

export function hintFor(error: unknown): string | undefined {
  if (isDiskFull(error))
    return 'Make room and run the command again: it goes on with the parts that are not there yet.';
  if (isErrno(error, 'EACCES', 'EPERM'))
    return 'Run the restore as the user who runs the server, or as root.';
  if (isErrno(error, 'EROFS')) return 'The file system is mounted read-only.';
  return undefined;
}
