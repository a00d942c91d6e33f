/** What is known of a modelled archive, and what its objects hold. */
import type { BackupName } from '../../src/archive/layout.ts';
import type { OwnFacts } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { formatLsn } from '../../src/postgres/segment.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/postgres/wal-page.ts';
import type { MemoryStore } from '../harness/memory-store.ts';
import { segmentHead } from '../harness/segment.ts';
import type { Scale } from './model-scale.ts';

export const DAY = 24 * 3_600_000;

/**
 * `stored`: objects have the dates of when they were stored. `equal`: all the same. `newer`: each anything since.
 * `any`: nothing follows from them. `reset`: the store's clock was set back for a while.
 */
export type Dating = 'stored' | 'equal' | 'newer' | 'any' | 'reset';

export interface ModelTimeline {
  readonly system: string;
  readonly number: number;
  /** Oldest first: the timelines it came from, each with the index of the segment in which it was left. */
  readonly ancestors: readonly { readonly timeline: number; readonly index: number; readonly lsn: bigint }[];
  readonly segmentBytes: number;
  /** As its system counts segments. */
  readonly first: number;
  readonly last: number;
  readonly hasHistory: boolean;
}

export interface ModelBackup {
  readonly name: string;
  readonly system: string;
  readonly timeline: number;
  readonly start: number;
  readonly stop: number;
  readonly started: number;
  readonly finished: number;
  readonly kind: 'own' | 'original';
  /** `stopped`: taken by the original of a stopped server, and named as it named those. */
  readonly server: 'running' | 'stopped';
  readonly state: 'complete' | 'young' | 'old';
  readonly sentinel: 'none' | 'readable' | 'cut';
  /** Nothing is stored of it yet but an upload that is under way. */
  readonly uploading: boolean;
  /** Its sentinel can be read and tells when it was finished. */
  readonly statesTime: boolean;
  /** When it was finished by its label file; undefined where that tells nothing. */
  readonly labelTime: number | undefined;
  /** Of its sentinel, and of its newest object: their dates, ms. */
  readonly stored: number;
  readonly newest: number;
  /** What the archive shows of when it was begun: the earliest of all that tells of it, ms. */
  readonly begun: number;
}

export interface ModelWal {
  readonly key: string;
  readonly system: string;
  readonly timeline: number;
  /** A place, as in a backup's start and stop. */
  readonly index: number;
  readonly archived: number;
}

export interface Model {
  readonly store: MemoryStore;
  readonly now: number;
  /** The smallest that any of its systems has. */
  readonly segmentBytes: number;
  readonly isOneSize: boolean;
  readonly dating: Dating;
  /** Nothing but backups can be read: encrypted for somebody else. */
  readonly isSealed: boolean;
  readonly timelines: readonly ModelTimeline[];
  readonly backups: readonly ModelBackup[];
  readonly wal: readonly ModelWal[];
  readonly foreign: readonly string[];
  readonly foreignStarts: readonly { readonly timeline: number; readonly index: number }[];
}

export function ownFacts(
  timeline: ModelTimeline,
  facts: Pick<ModelBackup, 'start' | 'stop' | 'finished' | 'started'> & { parts: number },
  scale: Scale,
): OwnFacts {
  const { start, stop, started, finished, parts } = facts;
  return {
    formatVersion: 1,
    toolVersion: 'model',
    systemIdentifier: timeline.system,
    postgresVersion: 180004,
    segmentBytes: scale.bytes,
    startLsn: formatLsn(scale.lsn(start, 40)),
    stopLsn: formatLsn(scale.lsn(stop, 256)),
    timeline: timeline.number,
    startTime: new Date(started).toISOString(),
    finishTime: new Date(finished).toISOString(),
    fromStandby: false,
    offline: false,
    dataChecksums: true,
    parts: Array.from({ length: parts }, (_, number) => ({
      number,
      size: 10,
      sha256: '0'.repeat(64),
      members: 1,
      expandedSize: 1,
    })),
    damagedPages: [],
    damagedPageCount: 0,
    hostname: 'model',
    withConfig: false,
  };
}

export function lzop(text: string | Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(Buffer.from(text)), encoder.end()]);
}

/** The label file of a backup, which tells when it was finished or nothing. */
export function labelText(finished: number | undefined): string {
  if (finished === undefined) return 'LABEL: x\n';
  const [day = '', time = ''] = new Date(finished).toISOString().split(/[T.]/);
  return `START TIME: ${day} ${time} UTC\nLABEL: x\nSTOP TIME: ${day} ${time} UTC\n`;
}

/** What is archived as a segment of this system: the beginning of one. */
export function walContent(system: string, name: string, segmentBytes: number): Uint8Array {
  const head = segmentHead(name, segmentBytes, { systemIdentifier: BigInt(system) });
  return lzop(head.subarray(0, SEGMENT_HEAD_BYTES));
}

export const NO_SPEC = { expandedSizeBytes: 1, spec: undefined } as const;

/** Of a stopped server the original wrote down what it had made the name of. */
export function stopOf(
  name: BackupName,
  { number }: ModelTimeline,
  { stop, server }: Pick<ModelBackup, 'stop' | 'server'>,
  scale: Scale,
): { stopSegment: string; stopOffset: string } {
  if (server === 'running') return { stopSegment: scale.name(number, stop), stopOffset: '00000256' };
  return { stopSegment: name.slice(5, 29), stopOffset: name.slice(30) };
}

/**
 * As WAL-E 1.1.1 does it: the timeline in decimal, the upper half of the position, and for the number of the segment
 * the first two digits of the lower half as PostgreSQL prints it, without leading zeros; these once more as the offset.
 */
export function offlineName(timeline: number, place: bigint): string {
  const [upper = '', lower = ''] = formatLsn(place).split('/');
  const digits = lower.slice(0, 2).padStart(8, '0');
  return `base_${String(timeline).padStart(8, '0')}${upper.padStart(8, '0')}${digits}_${digits}`;
}

/** What is not WAL-E's. */
export function strangeKeys(segment: string): string[] {
  return [
    `wal_005/${segment}.lz4`,
    'wal_005/junk.lzo',
    'basebackups_005/notes.txt',
    `basebackups_005/deeper/${segment}`,
  ];
}

/** A backup of WAL-G, `base`: the segment of the one that it is a delta to. */
export function foreignBackup(segment: string, base: string | undefined): string[] {
  const name = `base_${segment}${base === undefined ? '' : `_D_${base}`}`;
  return [
    `basebackups_005/${name}_backup_stop_sentinel.json`,
    `basebackups_005/${name}/metadata.json`,
    `basebackups_005/${name}/tar_partitions/part_001.tar.lz4`,
  ];
}
