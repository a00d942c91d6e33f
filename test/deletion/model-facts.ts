/** What is known of a modelled archive, and what its objects hold. */
import type { BackupName } from '../../src/archive/layout.ts';
import type { OwnFacts } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { formatLsn, segmentName } from '../../src/postgres/segment.ts';
import type { MemoryStore } from '../harness/memory-store.ts';

export const MODEL_SEGMENT_BYTES = 16 * 1024 * 1024;
export const SEGMENTS_IN_LOG = 256;

export interface ModelTimeline {
  readonly system: string;
  readonly number: number;
  /** Oldest first: the timelines it came from, each with the index of the segment in which it was left. */
  readonly ancestors: readonly { readonly timeline: number; readonly index: number; readonly lsn: bigint }[];
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
}

export interface ModelWal {
  readonly key: string;
  readonly system: string;
  readonly timeline: number;
  readonly index: number;
  readonly archived: number;
}

export interface Model {
  readonly store: MemoryStore;
  readonly now: number;
  readonly timelines: readonly ModelTimeline[];
  readonly backups: readonly ModelBackup[];
  readonly wal: readonly ModelWal[];
  readonly foreign: readonly string[];
  readonly foreignStarts: readonly { readonly timeline: number; readonly index: number }[];
}

export function nameAt(timeline: number, index: number): string {
  return segmentName(timeline, BigInt(index) * BigInt(MODEL_SEGMENT_BYTES), MODEL_SEGMENT_BYTES);
}

export function ownFacts(
  timeline: ModelTimeline,
  facts: Pick<ModelBackup, 'start' | 'stop' | 'finished'> & { started: number; parts: number },
): OwnFacts {
  const { start, stop, started, finished, parts } = facts;
  const lsn = (index: number, offset: number) =>
    formatLsn(BigInt(index) * BigInt(MODEL_SEGMENT_BYTES) + BigInt(offset));
  return {
    formatVersion: 1,
    toolVersion: 'model',
    systemIdentifier: timeline.system,
    postgresVersion: 180004,
    segmentBytes: MODEL_SEGMENT_BYTES,
    startLsn: lsn(start, 40),
    stopLsn: lsn(stop, 256),
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

export function lzop(text: string): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(Buffer.from(text)), encoder.end()]);
}

export const NO_SPEC = { expandedSizeBytes: 1, spec: undefined } as const;

/** Of a stopped server the original wrote down what it had made the name of. */
export function stopOf(
  name: BackupName,
  { number }: ModelTimeline,
  { stop, server }: Pick<ModelBackup, 'stop' | 'server'>,
): { stopSegment: string; stopOffset: string } {
  if (server === 'running') return { stopSegment: nameAt(number, stop), stopOffset: '00000256' };
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
