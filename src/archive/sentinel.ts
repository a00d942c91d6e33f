/**
 * The sentinel: the JSON object whose presence makes a base backup exist. The first four fields are the original's
 * (same order, same text form); everything of ours lives under one key, `wale_js`, which neither WAL-E nor WAL-G
 * reads (WAL-G matches its own field names without regard to case: docs/format.md lists those to stay clear of).
 */

import { DataError } from '../errors.ts';
import { isSegmentSize, parseLsn } from '../postgres/segment.ts';
import { OID } from '../postgres/tablespaces.ts';
import { JsonFields } from './json-fields.ts';

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
  /** Oid -> bytes of its files, of the sum of all; undefined in backups of versions that did not write it. */
  readonly tablespaceBytes?: ReadonlyMap<string, number> | undefined;
  /** At most 1000 are listed. The count is of all, but of pages with an LSN beyond the stop it goes to 1000 too. */
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

/** Longest sentinel that is read, bytes: room for the parts of an archive of some hundred TB. */
export const MAX_SENTINEL_BYTES = 64 * 1024 * 1024;

const MAX_TABLESPACES = 100_000;
const MAX_PARTS = 1_000_000;
const MAX_DAMAGED_PAGES = 1000;
const MAX_TIMELINE = 0xffff_ffff;
const SEGMENT = /^[0-9A-F]{24}$/;
const OFFSET = /^[0-9A-F]{8}$/;
const PATH = /^.{1,4096}$/su;
const DECIMAL = /^\d{1,20}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
const SHA256 = /^[0-9a-f]{64}$/;
const SHORT_TEXT = /^.{0,1000}$/su;

/** Python json style (`", "`, `": "`, non-ASCII escaped), one line, no newline, key order as the original's. */
export function writeSentinel(sentinel: Sentinel): string {
  const fields: Record<string, unknown> = {
    wal_segment_backup_stop: sentinel.stopSegment,
    wal_segment_offset_backup_stop: sentinel.stopOffset,
    expanded_size_bytes: sentinel.expandedSizeBytes,
  };
  if (sentinel.spec !== undefined) fields.spec = specFields(sentinel.spec);
  if (sentinel.own !== undefined) fields[OWN_KEY] = ownFields(sentinel.own);
  return pythonJson(fields);
}

function ownFields({ tablespaceBytes, ...rest }: OwnFacts): Record<string, unknown> {
  if (tablespaceBytes === undefined) return rest;
  return { ...rest, tablespaceBytes: [...tablespaceBytes].map(([oid, bytes]) => ({ oid, bytes })) };
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

/** Reads a sentinel of the original, of ours, or of nobody's good will. Unknown fields are ignored. Throws DataError. */
export function parseSentinel(text: string): Sentinel {
  if (text.length > MAX_SENTINEL_BYTES) throw new DataError('sentinel is too long to be one');
  const fields = new JsonFields(parseJson(text), 'sentinel');
  return {
    stopSegment: fields.text('wal_segment_backup_stop', SEGMENT, 'the name of a WAL segment'),
    stopOffset: fields.text('wal_segment_offset_backup_stop', OFFSET, 'an offset of eight digits'),
    expandedSizeBytes: fields.integer('expanded_size_bytes'),
    spec: fields.has('spec') ? parseSpec(fields.object('spec')) : undefined,
    own: fields.has(OWN_KEY) ? parseOwnFacts(fields.object(OWN_KEY)) : undefined,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError('sentinel is not JSON', { cause });
  }
}

/** An empty object says as little as none at all. */
function parseSpec(fields: JsonFields): BackupSpec | undefined {
  if (!fields.has('base_prefix') && !fields.has('tablespaces')) return undefined;
  const oids = fields.has('tablespaces') ? fields.list('tablespaces', MAX_TABLESPACES) : [];
  const tablespaces = new Map<string, Tablespace>();
  for (const oid of oids) {
    if (typeof oid !== 'string' || !OID.test(oid))
      throw new DataError('sentinel.spec.tablespaces holds something that is not an oid');
    tablespaces.set(oid, parseTablespace(fields.object(oid), oid));
  }
  return { basePrefix: pathText(fields, 'base_prefix'), tablespaces };
}

/** The link decides where a restore creates something, so it is nothing but what PostgreSQL would make. */
function parseTablespace(fields: JsonFields, oid: string): Tablespace {
  const link = pathText(fields, 'link');
  if (link !== `pg_tblspc/${oid}`) throw new DataError(`sentinel.spec.${oid}.link is not pg_tblspc/${oid}`);
  return { loc: pathText(fields, 'loc'), link };
}

function pathText(fields: JsonFields, name: string): string {
  const path = fields.text(name, PATH, 'a path');
  if (path.includes('\0')) throw new DataError(`sentinel: ${name} holds a zero byte`);
  return path;
}

function parseOwnFacts(fields: JsonFields): OwnFacts {
  if (fields.integer('formatVersion') !== 1)
    throw new DataError('sentinel is of a format that this version does not know', {
      hint: 'Use the version of wal-e that made the backup, or a newer one.',
    });
  return {
    formatVersion: 1,
    toolVersion: fields.text('toolVersion', SHORT_TEXT, 'a short text'),
    systemIdentifier: fields.text('systemIdentifier', DECIMAL, 'a decimal number'),
    postgresVersion: fields.integer('postgresVersion', 80_000, 10_000_000),
    segmentBytes: segmentSize(fields),
    startLsn: lsnText(fields, 'startLsn'),
    stopLsn: lsnText(fields, 'stopLsn'),
    timeline: fields.integer('timeline', 1, MAX_TIMELINE),
    startTime: timeText(fields, 'startTime'),
    finishTime: timeText(fields, 'finishTime'),
    fromStandby: fields.boolean('fromStandby'),
    offline: fields.boolean('offline'),
    dataChecksums: fields.boolean('dataChecksums'),
    parts: parseParts(fields),
    tablespaceBytes: parseTablespaceBytes(fields),
    damagedPages: fields.objects('damagedPages', MAX_DAMAGED_PAGES).map(parseDamagedPage),
    damagedPageCount: fields.integer('damagedPageCount'),
    hostname: fields.text('hostname', SHORT_TEXT, 'a short text'),
    withConfig: fields.boolean('withConfig'),
  };
}

function parseParts(fields: JsonFields): readonly PartFact[] {
  const parts = fields.objects('parts', MAX_PARTS).map(parsePart);
  if (new Set(parts.map((part) => part.number)).size !== parts.length)
    throw new DataError('sentinel: parts names a part twice');
  return parts;
}

function parsePart(fields: JsonFields): PartFact {
  return {
    number: fields.integer('number', 0, 99_999_999),
    size: fields.integer('size'),
    sha256: fields.text('sha256', SHA256, 'a SHA-256 in hex'),
    members: fields.integer('members'),
    expandedSize: fields.integer('expandedSize'),
  };
}

function parseTablespaceBytes(fields: JsonFields): ReadonlyMap<string, number> | undefined {
  if (!fields.has('tablespaceBytes')) return undefined;
  const entries = fields.objects('tablespaceBytes', MAX_TABLESPACES);
  return new Map(entries.map((entry) => [entry.text('oid', OID, 'an oid'), entry.integer('bytes')]));
}

function parseDamagedPage(fields: JsonFields): DamagedPage {
  return { file: pathText(fields, 'file'), block: fields.integer('block', 0, 0xffff_ffff) };
}

function segmentSize(fields: JsonFields): number {
  const bytes = fields.integer('segmentBytes');
  if (!isSegmentSize(bytes)) throw new DataError('sentinel: segmentBytes is not a size of WAL segments');
  return bytes;
}

function lsnText(fields: JsonFields, name: string): string {
  const text = fields.text(name, /^.{3,17}$/, 'an LSN');
  if (parseLsn(text) === undefined) throw new DataError(`sentinel: ${name} is not an LSN`);
  return text;
}

function timeText(fields: JsonFields, name: string): string {
  const text = fields.text(name, TIME, 'a time in UTC');
  if (Number.isNaN(Date.parse(text))) throw new DataError(`sentinel: ${name} is not a time`);
  return text;
}
