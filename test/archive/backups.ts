/** Backups as the catalog would hand them out, for tests of what is pure. */
import type { KnownBackup } from '../../src/archive/catalog.ts';
import { backupName, partKey, sentinelKey } from '../../src/archive/layout.ts';
import type { OwnFacts } from '../../src/archive/sentinel.ts';
import { formatLsn, segmentName } from '../../src/postgres/segment.ts';

export const SEGMENT_BYTES = 16 * 1024 * 1024;

/** Name of the segment of that index (16 MB). */
export function segmentAt(timeline: number, index: number): string {
  return segmentName(timeline, BigInt(index * SEGMENT_BYTES), SEGMENT_BYTES);
}

export interface BackupSketch {
  readonly timeline?: number;
  readonly start: number;
  readonly stop?: number;
  /** As the original writes it; 256 bytes unless given. */
  readonly stopOffset?: string;
  readonly offset?: number;
  /** Date of the sentinel object, ms; also the finish time where a system identifier is given. */
  readonly at?: number;
  readonly finished?: number;
  /** A second before it was finished unless given. */
  readonly started?: number;
  /** Given: a backup of ours, else one of the original. */
  readonly system?: string;
  readonly parts?: readonly number[];
  /** 16 MB unless given; other sizes only for places in the first log that all of them have. */
  readonly segmentBytes?: number;
  readonly complete?: boolean;
}

export function backupOf(sketch: BackupSketch): KnownBackup {
  const { timeline = 1, start, stop = start, offset = 40, at = 0, parts = [0], complete = true } = sketch;
  const { stopOffset = '00000256' } = sketch;
  const name = backupName(segmentAt(timeline, start), offset);
  const modified = new Date(at);
  return {
    name,
    sentinel: complete ? { key: sentinelKey(name), size: 300, modified } : undefined,
    version: undefined,
    parts: parts.map((number) => ({ key: partKey(name, number), number, size: 100, modified })),
    reading: complete
      ? {
          kind: 'read',
          sentinel: {
            stopSegment: segmentAt(timeline, stop),
            stopOffset,
            expandedSizeBytes: 1,
            spec: undefined,
            own: ownFacts(sketch),
          },
        }
      : { kind: 'absent' },
  };
}

function ownFacts(sketch: BackupSketch): OwnFacts | undefined {
  const { timeline = 1, start, stop = start, at = 0, finished = at, parts = [0] } = sketch;
  const { started = finished - 1000, segmentBytes = SEGMENT_BYTES } = sketch;
  if (sketch.system === undefined) return undefined;
  return {
    formatVersion: 1,
    toolVersion: '2.0.0',
    systemIdentifier: sketch.system,
    postgresVersion: 180004,
    segmentBytes,
    startLsn: formatLsn(BigInt(start * segmentBytes + 40)),
    stopLsn: formatLsn(BigInt(stop * segmentBytes + 256)),
    timeline,
    startTime: new Date(started).toISOString(),
    finishTime: new Date(finished).toISOString(),
    fromStandby: false,
    offline: false,
    dataChecksums: true,
    parts: parts.map((number) => ({
      number,
      size: 100,
      sha256: '0'.repeat(64),
      members: 1,
      expandedSize: 1,
    })),
    damagedPages: [],
    damagedPageCount: 0,
    hostname: 'host',
    withConfig: false,
  };
}
