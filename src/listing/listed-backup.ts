/** A backup as `backup-list` shows it, in every form. */
import type { KnownBackup } from '../archive/catalog.ts';
import { type ColdCounts, coldCounts } from '../archive/cold-storage.ts';
import { backupOffset, backupSegment } from '../archive/layout.ts';
import { describePartProblems } from '../archive/problem.ts';
import { partProblems } from '../archive/restorability.ts';
import type { Sentinel } from '../archive/sentinel.ts';

/**
 * `incomplete`: without a sentinel, so it is being made or has failed. `damaged`: parts are missing or not of their size,
 * which is known only where the sentinel was read.
 */
export type BackupState = 'complete' | 'damaged' | 'unreadable' | 'incomplete';

export interface ListedBackup {
  readonly name: string;
  readonly state: BackupState;
  /** Of the sentinel; of the newest object when there is none. */
  readonly modified: Date | undefined;
  readonly startSegment: string;
  readonly startOffset: string;
  readonly sentinel: Sentinel | undefined;
  /** Why the sentinel cannot be understood, or what is wrong with the parts. */
  readonly error: string | undefined;
  /** Bytes of all parts in the store. */
  readonly storedBytes: number;
  readonly parts: number;
  /** Of the parts, as they were listed. */
  readonly cold: ColdCounts;
  /** What the server said, or its version number as text; undefined when it was not asked for or is not there. */
  readonly postgresVersion: string | undefined;
}

export function listed(backup: KnownBackup, extendedVersion?: string): ListedBackup {
  const { name, sentinel, reading, parts } = backup;
  const read = reading.kind === 'read' ? reading.sentinel : undefined;
  const damage = read && describePartProblems(partProblems(backup));
  return {
    name,
    state: stateOf(backup, damage),
    modified: sentinel?.modified ?? newest(backup),
    startSegment: backupSegment(name),
    startOffset: backupOffset(name),
    sentinel: read,
    error: reading.kind === 'unreadable' ? reading.error.message : damage,
    storedBytes: parts.reduce((sum, { size }) => sum + size, 0),
    parts: parts.length,
    cold: coldCounts(parts),
    postgresVersion: ownVersion(read) ?? statedVersion(extendedVersion),
  };
}

function stateOf({ sentinel, reading }: KnownBackup, damage: string | undefined): BackupState {
  if (sentinel === undefined) return 'incomplete';
  if (reading.kind === 'unreadable') return 'unreadable';
  return damage === undefined ? 'complete' : 'damaged';
}

function newest({ version, parts }: KnownBackup): Date | undefined {
  const times = [version, ...parts].flatMap((object) =>
    object === undefined ? [] : [object.modified.getTime()],
  );
  return times.length === 0 ? undefined : new Date(times.reduce((a, b) => Math.max(a, b)));
}

/** 180004 -> `18.4`; 90624 -> `9.6.24` (PostgreSQL: server_version_num). */
function ownVersion(sentinel: Sentinel | undefined): string | undefined {
  const number = sentinel?.own?.postgresVersion;
  if (number === undefined) return undefined;
  const major = Math.trunc(number / 10_000);
  if (major >= 10) return `${major}.${number % 10_000}`;
  return `${major}.${Math.trunc(number / 100) % 100}.${number % 100}`;
}

/** Of `PostgreSQL 14.23 on x86_64-pc-linux-gnu, ...`. */
function statedVersion(text: string | undefined): string | undefined {
  return /^PostgreSQL (\d+(?:\.\d+){0,2}\w{0,10})/.exec(text ?? '')?.[1];
}
