/** The tablespaces of a cluster: symbolic links in pg_tblspc, named by the tablespace's oid. */
import { promises as fs } from 'node:fs';
import { join, resolve } from 'node:path';
import { isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';

export interface ClusterTablespace {
  readonly oid: string;
  /** `pg_tblspc/<oid>` */
  readonly link: string;
  /** Absolute path of the folder that it leads to. */
  readonly location: string;
}

const FOLDER = 'pg_tblspc';

/** An oid as a link or a setting spells it. */
export const OID = /^[1-9]\d{0,9}$/;

/**
 * Ascending by oid. Tablespaces inside of the data directory (allow_in_place_tablespaces) are folders like any other
 * and not listed; nor are those that a server drops meanwhile.
 */
export async function readTablespaces(dataDirectory: string): Promise<ClusterTablespace[]> {
  // Names alone: where the file system tells no types, Node would look at each, and fail for one that was dropped meanwhile.
  const names = await fs.readdir(join(dataDirectory, FOLDER));
  const oids = names.filter((name) => /^\d+$/.test(name));
  oids.sort((a, b) => Number(a) - Number(b));
  const found = await Promise.all(oids.map((oid) => readTablespace(dataDirectory, oid)));
  return found.filter((tablespace) => tablespace !== undefined);
}

/** undefined when it is a folder, or was dropped meanwhile: PostgreSQL removes the folder's contents and then the link. */
async function readTablespace(dataDirectory: string, oid: string): Promise<ClusterTablespace | undefined> {
  const link = `${FOLDER}/${oid}`;
  const target = await linkTarget(join(dataDirectory, link));
  if (target === undefined) return undefined;
  // Read from the data directory's real place, as the system would, which may be another than its name says.
  const location = resolve(await fs.realpath(join(dataDirectory, FOLDER)), target);
  try {
    if (!(await fs.stat(location)).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    if ((await linkTarget(join(dataDirectory, link))) === undefined) return undefined;
    throw new UserError('the folder of a tablespace is not there', {
      detail: `"${link}" leads to "${location}": ${(error as Error).message}`,
      hint: 'Check that its file system is mounted; drop the tablespace if it is gone.',
      cause: error,
    });
  }
  return { oid, link, location };
}

/** undefined when there is no link: nothing at all, or something else. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await fs.readlink(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL')) return undefined;
    throw error;
  }
}

/** The tablespace whose link this is. */
export function tablespaceOf(
  tablespaces: readonly ClusterTablespace[],
  path: string,
): ClusterTablespace | undefined {
  return path.startsWith(FOLDER) ? tablespaces.find(({ link }) => link === path) : undefined;
}

/** Of any tablespace, whether it was there when they were read or not. */
export function isTablespaceLink(path: string): boolean {
  return /^pg_tblspc\/\d+$/.test(path);
}
