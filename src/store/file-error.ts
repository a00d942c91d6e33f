/** Errors of the operating system as errors of the file store: what, which file, what the system said. */
import { StoreError } from '../errors.ts';
import { DELETE_HINT } from './store.ts';

const TRANSIENT = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ESTALE', 'ETIMEDOUT']);

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: `Free some space on the file system of the storage prefix. ${DELETE_HINT}`,
  EDQUOT: `Raise the quota on the file system of the storage prefix. ${DELETE_HINT}`,
  EACCES: 'The user who runs wal-e needs read and write permission on the storage prefix.',
  EPERM: 'The user who runs wal-e needs read and write permission on the storage prefix.',
  EROFS: 'The file system of the storage prefix is mounted read-only.',
};

/** An error of a system call; with codes: one of these. */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || typeof (error as NodeJS.ErrnoException).code !== 'string') return false;
  return codes.length === 0 || codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Whether a disk or a quota of this machine is full. */
export function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT');
}

export function fileError(message: string, path: string, error: unknown): StoreError {
  const code = isErrno(error) ? (error.code ?? '') : '';
  return new StoreError(message, {
    detail: `"${path}": ${error instanceof Error ? error.message : String(error)}`,
    hint: HINTS[code],
    transient: TRANSIENT.has(code),
    full: isDiskFull(error),
    cause: error,
  });
}
