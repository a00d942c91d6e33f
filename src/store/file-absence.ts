/**
 * Absence of an object is only an answer while the archive itself is there. A mount that is gone must not look like an
 * empty archive, which PostgreSQL would take for the end of the WAL: it leaves no folder behind, or an empty one, or a
 * link that leads nowhere. That goes for the whole archive and for a tree of it (wal_005) that has a disk of its own.
 */

import { BACKUP_PREFIX, WAL_PREFIX } from '../archive/layout.ts';
import { isErrno } from '../errno.ts';
import { StoreError } from '../errors.ts';
import { fileError } from './file-error.ts';
import * as fs from './file-system.ts';

/** Throws StoreError when nothing at all is in the tree that the key belongs to, or no archive under the storage prefix. */
export async function confirmAbsence(base: string, key: string): Promise<void> {
  const path = `${base}/${key}`;
  const isLink = await fs.isLink(path).catch((error: unknown) => {
    throw fileError('could not look at a file', path, error);
  });
  if (isLink) throw leadsNowhere(path);
  const slash = key.indexOf('/');
  if (slash !== -1 && (await isTree(`${base}/${key.slice(0, slash)}`))) return;
  await confirmArchive(base || '/');
}

function leadsNowhere(path: string): StoreError {
  return new StoreError('an object of the archive is a link that leads nowhere', {
    detail: `The path is "${path}".`,
    hint: 'Check that the file system is mounted to which it leads.',
    transient: false,
  });
}

/** False when there is no such folder: the archive does not have the tree. */
async function isTree(folder: string): Promise<boolean> {
  try {
    if (await fs.hasEntries(folder)) return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT') && !(await fs.isLink(folder))) return false;
    throw new StoreError('a directory of the archive cannot be read', {
      detail: fileError('', folder, error).detail,
      hint: 'Check that its file system is mounted.',
      transient: false,
      cause: error,
    });
  }
  throw new StoreError('a directory of the archive is empty', {
    detail: `"${folder}" holds nothing, so that it cannot be told what the archive does not have.`,
    hint: 'Check that its file system is mounted. If nothing was ever archived there, remove the directory.',
    transient: false,
  });
}

/** Whatever else is there: a disk that was mounted by mistake is not an empty archive either. */
async function confirmArchive(base: string): Promise<void> {
  for (const tree of [WAL_PREFIX, BACKUP_PREFIX]) if (await isThere(`${base}/${tree}`)) return;
  if (await isThere(base || '/')) {
    throw new StoreError('the directory of the storage prefix holds no archive', {
      detail: `"${base}" has neither ${WAL_PREFIX} nor ${BACKUP_PREFIX} in it, so that it cannot be told what the archive does not have.`,
      hint: 'Check the prefix, and that its file system is mounted. The first wal-push or backup-push begins an archive.',
      transient: false,
    });
  }
  throw new StoreError('the directory of the storage prefix is not there', {
    detail: `"${base}": no such directory`,
    hint: 'Check the prefix, and that its file system is mounted.',
    transient: false,
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await fs.access(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw fileError('could not look at the directory of the storage prefix', path, error);
  }
}
