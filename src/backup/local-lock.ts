/** One backup of a data directory at a time on this machine, server or not. */
import { UserError } from '../errors.ts';
import { type FolderLock, lockFolder } from '../folder-lock.ts';

/** Throws when another backup of that directory runs. */
export async function lockDirectory(dataDirectory: string): Promise<FolderLock> {
  const lock = await lockFolder('backup-push', dataDirectory);
  if (lock === undefined) throw anotherBackup(`Another process is backing up "${dataDirectory}".`);
  return lock;
}

export function anotherBackup(detail: string): UserError {
  return new UserError('another backup-push of this cluster is running', {
    detail,
    hint: 'Wait until it ends, or stop it.',
  });
}
