/**
 * `--restore-spec FILE|SOURCE`: where the tablespaces go. The file is JSON in the form of the sentinel's `spec`; its
 * fields replace the sentinel's, `SOURCE` means the sentinel's as they are (WAL-E 1.1.1). Unlike there, the data
 * directory is always the one on the command line.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { JsonFields } from '../archive/json-fields.ts';
import type { BackupSpec } from '../archive/sentinel.ts';
import { UserError } from '../errors.ts';
import { OID } from '../postgres/tablespaces.ts';

const PATH = /^\/[^\0]{1,4000}$/u;
const MAX_TABLESPACES = 100_000;

/** Oid -> absolute location without a trailing slash, for every tablespace of the backup. */
export async function readRestoreSpec(
  given: string,
  source: BackupSpec | undefined,
  directory: string,
): Promise<ReadonlyMap<string, string>> {
  if (given === 'SOURCE') {
    if (source === undefined) throw bad('the sentinel of the backup holds none');
    return new Map([...source.tablespaces].map(([oid, { loc }]) => [oid, plain(loc)]));
  }
  return parseRestoreSpec(await readSpec(given), source, directory);
}

/** Pure part: `text` is the file's content. */
export function parseRestoreSpec(
  text: string,
  source: BackupSpec | undefined,
  directory: string,
): ReadonlyMap<string, string> {
  try {
    return locations(new JsonFields(JSON.parse(text), 'restore spec'), source, directory);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error), error);
  }
}

function locations(
  fields: JsonFields,
  source: BackupSpec | undefined,
  directory: string,
): Map<string, string> {
  if (fields.has('base_prefix')) {
    const base = plain(fields.text('base_prefix', PATH, 'an absolute path'));
    if (resolve(base) !== resolve(directory))
      throw new Error(`its base_prefix is "${base}", but the directory to restore into is "${directory}"`);
  }
  const known = new Map([...(source?.tablespaces ?? [])].map(([oid, { loc }]) => [oid, plain(loc)]));
  const listed = fields.has('tablespaces') ? fields.list('tablespaces', MAX_TABLESPACES) : [...known.keys()];
  const result = new Map<string, string>();
  for (const oid of listed) {
    if (typeof oid !== 'string' || !OID.test(oid))
      throw new Error(`${JSON.stringify(oid)} is not the oid of a tablespace`);
    if (source !== undefined && !known.has(oid)) throw new Error(`the backup has no tablespace ${oid}`);
    result.set(oid, locationOf(fields, oid, known.get(oid)));
  }
  const left = [...known.keys()].filter((oid) => !result.has(oid));
  if (left.length > 0) throw new Error(`it leaves out the tablespace ${left.join(', ')}`);
  return result;
}

function locationOf(fields: JsonFields, oid: string, source: string | undefined): string {
  if (!fields.has(oid)) {
    if (source !== undefined) return source;
    throw new Error(`it does not say where the tablespace ${oid} goes`);
  }
  const entry = fields.object(oid);
  const link = entry.has('link') ? entry.text('link', /^.{1,4000}$/su, 'a path') : `pg_tblspc/${oid}`;
  if (plain(link) !== `pg_tblspc/${oid}`)
    throw new Error(`the link of tablespace ${oid} must be pg_tblspc/${oid}`);
  return plain(entry.text('loc', PATH, 'an absolute path'));
}

async function readSpec(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UserError('could not read the restore specification', {
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Give --restore-spec a JSON file, or SOURCE for the locations of the source.',
      cause: error,
    });
  }
}

function bad(detail: string, cause?: unknown): UserError {
  return new UserError('the restore specification cannot be used', {
    detail,
    hint: 'It has the form {"tablespaces": ["16384"], "16384": {"loc": "/new/place/", "link": "pg_tblspc/16384"}}.',
    cause,
  });
}

function plain(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}
