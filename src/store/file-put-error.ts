/** Why an object was not stored, where the file system cannot do what the file store lives on. */
import { isErrno } from '../errno.ts';
import { StoreError } from '../errors.ts';
import { fileError } from './file-error.ts';

export function putError(path: string, error: unknown): unknown {
  if (isErrno(error, 'EPERM', 'ENOTSUP', 'EMLINK', 'ENOSYS') && error.syscall === 'link') {
    return new StoreError('the file system of the storage prefix cannot make hard links', {
      detail: `Linking to "${path}" failed: ${(error as Error).message}`,
      hint: 'Hard links are how an object appears whole and is never overwritten; use a file system that has them.',
      transient: false,
      cause: error,
    });
  }
  const failure = isErrno(error) ? fileError('could not store a file', path, error) : error;
  if (failure instanceof StoreError && isErrno(error, 'EIO') && error.syscall === 'link') {
    return new StoreError(failure.message, {
      detail: failure.detail,
      hint: `${failure.hint ?? ''} If no file can be stored, it has no hard links (rclone mount says so): use another.`,
      transient: false,
      cause: error,
    });
  }
  if (!(failure instanceof StoreError && isErrno(error, 'EINVAL', 'ENOTSUP') && isSync(error)))
    return failure;
  return new StoreError('the file system of the storage prefix cannot sync', {
    detail: failure.detail,
    hint: 'Only what is synced survives a crash: nothing is acknowledged on a file system that cannot do it. Use another.',
    transient: false,
    cause: error,
  });
}

function isSync({ syscall }: NodeJS.ErrnoException): boolean {
  return syscall === 'fsync' || syscall === 'fdatasync';
}
