/** Errors of the operating system as errors of the file store: what, which file, what the system said. */
import { errnoCode, errnoText, isDiskFull } from '../errno.ts';
import { StoreError } from '../errors.ts';
import { DELETE_HINT } from './store.ts';

const TRANSIENT = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ESTALE', 'ETIMEDOUT']);

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
