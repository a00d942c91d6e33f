/**
 * Where each tablespace of a backup goes: `--tablespace OID=DIR`, the restore spec, links that were made beforehand,
 * or, with --blind-restore, a folder of the data directory (the original left real directories in pg_tblspc, on which
 * PostgreSQL does not start).
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import type { BackupSpec } from '../archive/sentinel.ts';
import { UserError } from '../errors.ts';
import { OID } from '../postgres/tablespaces.ts';
import { ifThere } from './if-there.ts';
import type { Target } from './target.ts';

export interface PlacedTablespace {
  readonly oid: string;
  /** What the link says: absolute, no trailing slash. */
  readonly location: string;
  /** Where the source had it. */
  readonly source: string | undefined;
  /** The link is there already. */
  readonly linked: boolean;
  /** Inside the data directory (--blind-restore). */
  readonly inside: boolean;
}

export interface TablespaceWishes {
  readonly blind: boolean;
  /** Of --restore-spec. */
  readonly spec: ReadonlyMap<string, string> | undefined;
  /** Of --tablespace. */
  readonly given: ReadonlyMap<string, string>;
}

/** Folder of the data directory for tablespaces that have no place of their own. */
const INSIDE_FOLDER = 'tablespaces';

/** `OID=DIR`, repeatable. */
export function parseTablespaceOptions(options: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const option of options) {
    const [, oid = '', directory = ''] = /^([^=]*)=(\/.*)$/su.exec(option) ?? [];
    if (!OID.test(oid) || directory.includes('\0'))
      throw refused(`--tablespace ${option}`, 'Write it as OID=/absolute/directory.');
    if (given.has(oid)) throw refused(`The tablespace ${oid} is given twice.`);
    given.set(oid, directory);
  }
  return given;
}

export function placeTablespaces(
  spec: BackupSpec | undefined,
  target: Target,
  wishes: TablespaceWishes,
): readonly PlacedTablespace[] {
  const unknown = [...wishes.given.keys()].filter((oid) => spec !== undefined && !spec.tablespaces.has(oid));
  if (unknown.length > 0) {
    const known = [...(spec?.tablespaces.keys() ?? [])].join(', ');
    throw refused(`The backup has no tablespace ${unknown.join(', ')}. It has ${known || 'none'}.`);
  }
  // An archive without a spec does not tell its tablespaces: what was given or prepared is taken.
  const oids = new Set([
    ...(spec?.tablespaces.keys() ?? target.tablespaceLinks.keys()),
    ...wishes.given.keys(),
  ]);
  const missing = [...oids].filter((oid) => locationOf(oid, target, wishes) === undefined);
  if (missing.length > 0) throw notPrepared(missing, spec);
  return [...oids].map((oid) => placed(oid, spec, target, wishes));
}

function locationOf(oid: string, target: Target, wishes: TablespaceWishes): string | undefined {
  const wished = wishes.given.get(oid) ?? wishes.spec?.get(oid);
  if (wished !== undefined) return wished;
  const prepared = target.tablespaceLinks.get(oid);
  if (prepared?.directory !== undefined) return prepared.location;
  return wishes.blind ? join(target.directory, INSIDE_FOLDER, oid) : undefined;
}

function placed(
  oid: string,
  spec: BackupSpec | undefined,
  target: Target,
  wishes: TablespaceWishes,
): PlacedTablespace {
  const wanted = locationOf(oid, target, wishes) ?? '';
  const location = normalize(wanted).replace(/(.)\/+$/, '$1');
  const link = target.tablespaceLinks.get(oid);
  const same = link !== undefined && normalize(link.location).replace(/(.)\/+$/, '$1') === location;
  if (link !== undefined && !same && target.marker === undefined)
    throw refused(
      `"${join(target.directory, 'pg_tblspc', oid)}" leads to "${link.location}", but the tablespace is to go to "${location}".`,
      'Remove the link or name its place.',
    );
  const inside = location === join(target.directory, INSIDE_FOLDER, oid);
  return { oid, location, source: spec?.tablespaces.get(oid)?.loc, linked: same, inside };
}

/** Throws unless every location can be used. `mayHoldFiles`: this restore put them there, or --force. */
export async function checkLocations(
  tablespaces: readonly PlacedTablespace[],
  target: Target,
  mayHoldFiles: boolean,
): Promise<void> {
  const seen: { readonly oid: string; readonly path: string }[] = [];
  for (const { oid, location, inside } of tablespaces) {
    if (!isAbsolute(location))
      throw refused(`The location "${location}" of tablespace ${oid} is not absolute.`);
    const path = await realLocation(oid, location, inside);
    if (!inside && (isWithin(path, target.directory) || isWithin(target.directory, path)))
      throw refused(
        `The location "${location}" of tablespace ${oid} and the data directory lie within each other.`,
      );
    const other = seen.find((known) => isWithin(path, known.path) || isWithin(known.path, path));
    if (other !== undefined)
      throw refused(`The tablespaces ${other.oid} and ${oid} would share the directory "${location}".`);
    seen.push({ oid, path });
    const content = (await ifThere(() => readdir(path)))?.filter((name) => name !== 'lost+found') ?? [];
    if (content.length > 0 && !mayHoldFiles)
      throw refused(
        `The location "${location}" of tablespace ${oid} is not empty: it holds ${content.slice(0, 3).join(', ')}${content.length > 3 ? ', …' : ''}.`,
        'Empty it or name another one; if it is the live tablespace of the source, restoring over it would destroy the source.',
      );
  }
}

/** The path without symbolic links. Its parent must be there: a missing one is most likely a disk that is not mounted. */
async function realLocation(oid: string, location: string, inside: boolean): Promise<string> {
  const found = await ifThere(() => stat(location));
  if (found?.isDirectory()) return realpath(location);
  if (found !== undefined)
    throw refused(`The location "${location}" of tablespace ${oid} is not a directory.`);
  if (inside) return location;
  const parent = await ifThere(() => realpath(dirname(location)));
  if (parent === undefined)
    throw refused(
      `The directory "${dirname(location)}", where tablespace ${oid} is to go, is not there.`,
      'Make it, or mount its disk.',
    );
  return join(parent, location.slice(location.lastIndexOf('/') + 1));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

function notPrepared(missing: readonly string[], spec: BackupSpec | undefined): UserError {
  const from = (oid: string) => spec?.tablespaces.get(oid)?.loc ?? 'somewhere';
  return new UserError('Symlinks for some tablespaces not found or created.', {
    detail: missing.map((oid) => `Tablespace ${oid} was at "${from(oid)}".`).join(' '),
    hint: 'Say where they go with --tablespace OID=DIR, with --restore-spec (SOURCE: where they were), or by links in pg_tblspc of the target; --blind-restore puts them into the data directory.',
  });
}

function refused(detail: string, hint?: string): UserError {
  return new UserError('the tablespaces cannot be restored like this', { detail, hint });
}
