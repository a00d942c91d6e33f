/** Errors of the operating system as errors of the file store: what, which file, what the system said. */
import { StoreError } from '../errors.ts';
import { DELETE_HINT } from './store.ts';

const TRANSIENT = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ESTALE', 'ETIMEDOUT']);

/** Errors of Linux that Node has no name for: it says "Unknown system error -122", of a synchronous call "UNKNOWN". */
const UNNAMED: Readonly<Record<number, readonly [code: string, meaning: string]>> = {
  [-116]: ['ESTALE', 'stale file handle'],
  [-117]: ['EUCLEAN', 'structure needs cleaning'],
  [-122]: ['EDQUOT', 'disk quota exceeded'],
};

const NOT_THERE =
  'The file system of the storage prefix does not answer any more: look at its mount, and mount it again.';

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: `Free some space on the file system of the storage prefix. ${DELETE_HINT}`,
  EDQUOT: `Raise the quota on the file system of the storage prefix. ${DELETE_HINT}`,
  EACCES: 'The user who runs wal-e needs read and write permission on the storage prefix.',
  EPERM: 'The user who runs wal-e needs read and write permission on the storage prefix.',
  EROFS: 'The file system of the storage prefix is mounted read-only.',
  ENOTCONN: NOT_THERE,
  ECONNABORTED: NOT_THERE,
  EHOSTDOWN: NOT_THERE,
  ESTALE: NOT_THERE,
  EIO: 'Look at the disk or the server of the storage prefix: the log of the kernel (dmesg) may say more.',
  EUCLEAN: 'The file system of the storage prefix is damaged: it needs fsck.',
};

/** An error of a system call; with codes: one of these. */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  const code = errnoCode(error);
  return code !== undefined && (codes.length === 0 || codes.includes(code));
}

function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return undefined;
  return UNNAMED[errno ?? 0]?.[0] ?? code;
}

/** What the system said, with the name of the error also where Node has none. */
export function errnoText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [code, meaning] = UNNAMED[(error as NodeJS.ErrnoException).errno ?? 0] ?? [];
  if (code === undefined) return error.message;
  return error.message.replace(
    /^(Unknown system error -\d+: Unknown system error -\d+|UNKNOWN: unknown error)/,
    `${code}: ${meaning}`,
  );
}

/** Whether a disk or a quota of this machine is full. */
export function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT');
}

export function fileError(message: string, path: string, error: unknown): StoreError {
  const code = errnoCode(error) ?? '';
  return new StoreError(message, {
    detail: `"${path}": ${errnoText(error)}`,
    hint: HINTS[code],
    transient: TRANSIENT.has(code),
    full: isDiskFull(error),
    cause: error,
  });
}
