/**
 * The names in an archive, and the only place that knows them. Keys are relative to the storage prefix:
 *
 *     basebackups_005/base_<24HEX>_<OFFSET>/extended_version.txt
 *     basebackups_005/base_<24HEX>_<OFFSET>/tar_partitions/part_<NNNNNNNN>.tar.lzo
 *     basebackups_005/base_<24HEX>_<OFFSET>_backup_stop_sentinel.json
 *     wal_005/<name>.lzo
 *
 * Source: WAL-E 1.1.1, observed; see docs/format.md.
 */

/** A key relative to the prefix. Made only here. */
export type Key = string & { readonly __brand: 'Key' };

/** `base_<24HEX>_<OFFSET>`; the offset is decimal when written here, `[0-9A-F]{8}` when read (offline backups of the original). */
export type BackupName = string & { readonly __brand: 'BackupName' };

export const WAL_PREFIX = 'wal_005/';
export const BACKUP_PREFIX = 'basebackups_005/';

/**
 * Numbers from here on are not in the key: they stand for the tars that WAL-G keeps apart, `backup_label.tar.lzo` and
 * `pg_control.tar.lzo`.
 */
export const FIRST_NAMED_PART = 1_000_000_000_000_000;
export const CONTROL_PART = FIRST_NAMED_PART + 1;

/** The two trees of the layouts before this one; `delete old-versions` empties them. */
export const OBSOLETE_PREFIXES: readonly string[] = ['000', '001', '002', '003', '004'].flatMap((version) => [
  `basebackups_${version}/`,
  `wal_${version}/`,
]);

/** What `delete` is about to remove is noted here, outside both trees, so that an interrupted run can be resumed. */
export const DELETE_NOTE_PREFIX = 'wale_delete_';

/** What `check` makes and removes, and what it leaves where it may not. */
const SCRATCH_PREFIX = 'wale_check_';

const TREE_FOLDER = /^(.*\/)?(?:basebackups|wal)_00[0-5]\/$/s;
const SENTINEL_SUFFIX = '_backup_stop_sentinel.json';
const BACKUP_NAME = /^base_([0-9A-F]{24})_([0-9A-F]{8})$/;
const WAL_KEY = /^wal_005\/([^/]+)\.lzo$/;
const BACKUP_KEY =
  /^basebackups_005\/(base_[0-9A-F]{24}_[0-9A-F]{8})(?:(_backup_stop_sentinel\.json)|\/(extended_version\.txt)|\/tar_partitions\/(?:part_(\d{1,15})|(backup_label|pg_control))\.tar\.lzo)$/;

const FOREIGN_SENTINEL =
  /^basebackups_005\/base_([0-9A-F]{24})(?:_D_[0-9A-F]{24}(?:_[0-9A-F]{8})?)?_backup_stop_sentinel\.json$/;

/** What a key is; `unknown` keys are somebody else's and are left alone. */
export type KeyKind =
  | { readonly kind: 'wal'; readonly name: string }
  | { readonly kind: 'sentinel'; readonly backup: BackupName }
  | { readonly kind: 'version'; readonly backup: BackupName }
  | { readonly kind: 'part'; readonly backup: BackupName; readonly number: number }
  | { readonly kind: 'unknown' };

/** `name` is a WAL file's base name: a segment, `.history`, `.backup`, `.partial`. */
export function walKey(name: string): Key {
  return `${WAL_PREFIX}${name}.lzo` as Key;
}

export function sentinelKey(backup: BackupName): Key {
  return `${BACKUP_PREFIX}${backup}${SENTINEL_SUFFIX}` as Key;
}

export function versionKey(backup: BackupName): Key {
  return `${BACKUP_PREFIX}${backup}/extended_version.txt` as Key;
}

export function partKey(backup: BackupName, number: number): Key {
  return `${partPrefix(backup)}part_${String(number).padStart(8, '0')}.tar.lzo` as Key;
}

export function partPrefix(backup: BackupName): string {
  return `${BACKUP_PREFIX}${backup}/tar_partitions/`;
}

/** `base_<24HEX>` and its deltas: how WAL-G names backups of its own. */
export function isForeignBackupName(name: string): boolean {
  return /^base_[0-9A-F]{24}(?:_D_[0-9A-F]{24}(?:_[0-9A-F]{8})?)?$/.test(name);
}

/** A scratch key for `wal-e check`; outside both trees, so that neither the original nor WAL-G looks at it. */
export function scratchKey(id: string): Key {
  return `${SCRATCH_PREFIX}${id}` as Key;
}

/** Keys that lie beside the trees and are our own. */
export function isOwnBesideTrees(key: string): boolean {
  return key.startsWith(SCRATCH_PREFIX) || key.startsWith(DELETE_NOTE_PREFIX);
}

/**
 * Of a folder (with its slash) that is a tree of this layout or of one before: the folder in which that archive lies,
 * '' for the storage prefix. undefined when it is no tree.
 */
export function archiveAround(folder: string): string | undefined {
  const match = TREE_FOLDER.exec(folder);
  return match === null ? undefined : (match[1] ?? '');
}

/** `id`: hex digits, different for each run. */
export function deleteNoteKey(id: string): Key {
  return `${DELETE_NOTE_PREFIX}${id}` as Key;
}

/**
 * The start segment of a backup that another tool made under the same prefix (WAL-G: `base_<24HEX>`, and
 * `base_<24HEX>_D_<24HEX>` for deltas), when the key is its sentinel.
 */
export function foreignBackupSegment(key: string): string | undefined {
  return FOREIGN_SENTINEL.exec(key)?.[1];
}

/** A key as a store listed it. Stores call this; nobody else makes keys from strings. */
export function listedKey(key: string): Key {
  return key as Key;
}

/** A key for people: what would move the cursor or forge a line of a log is escaped. */
export function shownKey(key: string): string {
  // V8 builds tables of Unicode for the expression below, which takes half a millisecond.
  if (/^[ -~]*$/.test(key)) return key;
  return key.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** Segment and offset as the original writes them: 24 hex digits, decimal offset padded to 8. */
export function backupName(segment: string, offset: number): BackupName {
  return `base_${segment}_${paddedOffset(offset)}` as BackupName;
}

/**
 * PostgreSQL's lpad() made it in the original, which also cuts longer texts: with segments of 128 MB and more an offset
 * can have nine digits or ten, of which the first eight stay.
 */
export function paddedOffset(offset: number): string {
  return String(offset).padStart(8, '0').slice(0, 8);
}

export function parseBackupName(name: string): BackupName | undefined {
  return BACKUP_NAME.test(name) ? (name as BackupName) : undefined;
}

export function backupSegment(name: BackupName): string {
  return name.slice(5, 29);
}

export function backupOffset(name: BackupName): string {
  return name.slice(30);
}

/** For messages: `part 7`, or the tar's name. */
export function partText(number: number): string {
  if (number < FIRST_NAMED_PART) return `part ${number}`;
  return number === CONTROL_PART ? 'pg_control.tar.lzo' : 'backup_label.tar.lzo';
}

function namedPart(name: string): number {
  return name === 'pg_control' ? CONTROL_PART : FIRST_NAMED_PART;
}

/** WAL-E writes eight digits and counts from 0, WAL-G three and from 1. */
export function countsFromOne(partKeys: readonly string[]): boolean {
  const numbered = partKeys.filter((key) => /part_\d+\./.test(key));
  return numbered.length > 0 && !numbered.some((key) => /part_\d{8}\./.test(key));
}

export function classifyKey(key: string): KeyKind {
  const wal = WAL_KEY.exec(key);
  if (wal?.[1] !== undefined) return { kind: 'wal', name: wal[1] };
  const match = BACKUP_KEY.exec(key);
  if (match === null) return { kind: 'unknown' };
  const backup = match[1] as BackupName;
  if (match[2] !== undefined) return { kind: 'sentinel', backup };
  if (match[3] !== undefined) return { kind: 'version', backup };
  return { kind: 'part', backup, number: match[5] === undefined ? Number(match[4]) : namedPart(match[5]) };
}
