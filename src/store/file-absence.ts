/**
 * Absence of an object is only an answer while the archive itself is there. A mount that is gone must not look like an
 * empty archive, which PostgreSQL would take for the end of the WAL: it leaves no folder behind, or an empty one.
 */
import { StoreError } from '../errors.ts';
import { fileError } from './file-error.ts';
import * as fs from './file-system.ts';

/** Throws StoreError when there is nothing at all under the storage prefix. */
export async function confirmAbsence(base: string): Promise<void> {
  const folder = base || '/';
  const names = await namesIn(folder);
  if (names.length > 0) return;
  throw new StoreError('the directory of the storage prefix is empty', {
    detail: `"${folder}" holds no archive, so that it cannot be told what the archive does not have.`,
    hint: 'Check the prefix, and that its file system is mounted. The first wal-push or backup-push begins an archive.',
    transient: false,
  });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await fs.readdir(folder);
  } catch (error) {
    throw new StoreError('the directory of the storage prefix is not there', {
      detail: fileError('', folder, error).detail,
      hint: 'Check the prefix, and that its file system is mounted.',
      transient: false,
      cause: error,
    });
  }
}
