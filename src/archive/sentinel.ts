/**
 * The sentinel: the JSON object whose presence makes a base backup exist. The first four fields are the original's
 * (same order, same text form); everything of ours lives under one key, `wale_js`, which neither WAL-E nor WAL-G
 * reads (WAL-G matches its own field names without regard to case: docs/format.md lists those to stay clear of).
 */

export interface Tablespace {
  /** Where the tablespace's files were, with a trailing slash. */
  readonly loc: string;
  /** `pg_tblspc/<oid>`, relative to base_prefix. */
  readonly link: string;
}

export interface BackupSpec {
  /** The data directory, with a trailing slash. */
  readonly basePrefix: string;
  /** Oid as text -> tablespace. */
  readonly tablespaces: ReadonlyMap<string, Tablespace>;
}

export interface PartFact {
  readonly number: number;
  /** Bytes of the object. */
  readonly size: number;
  /** Of the object's bytes as stored, hex. */
  readonly sha256: string;
  readonly members: number;
  /** Sum of the members' sizes, bytes. */
  readonly expandedSize: number;
}

/** A data page whose checksum did not match, also after it was read again. */
export interface DamagedPage {
  /** Relative to the data directory. */
  readonly file: string;
  readonly block: number;
}

/** What only our own backups carry. LSNs as PostgreSQL prints them, times in ISO 8601 UTC. */
export interface OwnFacts {
  readonly formatVersion: 1;
  readonly toolVersion: string;
  /** Decimal text: it does not fit a JSON number. */
  readonly systemIdentifier: string;
  /** server_version_num, e.g. 180004. */
  readonly postgresVersion: number;
  readonly segmentBytes: number;
  readonly startLsn: string;
  readonly stopLsn: string;
  readonly timeline: number;
  readonly startTime: string;
  readonly finishTime: string;
  readonly fromStandby: boolean;
  readonly offline: boolean;
  readonly dataChecksums: boolean;
  readonly parts: readonly PartFact[];
  /** At most 1000 are listed; the count is complete. */
  readonly damagedPages: readonly DamagedPage[];
  readonly damagedPageCount: number;
  readonly hostname: string;
  /** Configuration files are part of the backup (--with-config). */
  readonly withConfig: boolean;
}

export interface Sentinel {
  readonly stopSegment: string;
  /** Eight characters, decimal, as the original writes it. */
  readonly stopOffset: string;
  readonly expandedSizeBytes: number;
  readonly spec: BackupSpec | undefined;
  /** Absent in backups made by the original or by WAL-G. */
  readonly own: OwnFacts | undefined;
}

export const OWN_KEY = 'wale_js';

/** Python json style (`", "`, `": "`, non-ASCII escaped), one line, no newline, key order as the original's. */
export function writeSentinel(sentinel: Sentinel): string {
  const fields: Record<string, unknown> = {
    wal_segment_backup_stop: sentinel.stopSegment,
    wal_segment_offset_backup_stop: sentinel.stopOffset,
    expanded_size_bytes: sentinel.expandedSizeBytes,
  };
  if (sentinel.spec !== undefined) fields.spec = specFields(sentinel.spec);
  if (sentinel.own !== undefined) fields[OWN_KEY] = sentinel.own;
  return pythonJson(fields);
}

function specFields(spec: BackupSpec): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    base_prefix: spec.basePrefix,
    tablespaces: [...spec.tablespaces.keys()],
  };
  // Map, then defineProperty-free assignment: oids are digits, so no key can be __proto__.
  for (const [oid, { loc, link }] of spec.tablespaces) fields[oid] = { loc, link };
  return fields;
}

function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = orderedEntries(value as Record<string, unknown>);
    return `{${members.map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`).join(', ')}}`;
  }
  const text = JSON.stringify(value);
  return text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** JavaScript lists integer-like keys (tablespace oids) first; the original lists them last. */
function orderedEntries(object: Record<string, unknown>): [string, unknown][] {
  const entries = Object.entries(object).filter(([, member]) => member !== undefined);
  const isOid = ([key]: [string, unknown]) => /^\d+$/.test(key);
  return [...entries.filter((entry) => !isOid(entry)), ...entries.filter(isOid)];
}
