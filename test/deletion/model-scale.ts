/**
 * Places in the WAL of one system, and how names spell them. A modelled archive counts segments as its names do, by the
 * smallest size that any of its systems has: `place` = log * (4 GiB / that size) + number in the log.
 */
import { segmentName } from '../../src/postgres/segment.ts';

const LOG_BYTES = 2 ** 32;

export const SEGMENT_SIZES = [1, 16, 64].map((mb) => mb * 1024 * 1024);

export function segmentsInLog(segmentBytes: number): number {
  return LOG_BYTES / segmentBytes;
}

/** Where the name of a segment says that it lies: 24 hex digits. */
export function placeOfName(name: string, archiveBytes: number): number {
  const [log = 0, number = 0] = [8, 16].map((at) => Number.parseInt(name.slice(at, at + 8), 16));
  return log * segmentsInLog(archiveBytes) + number;
}

export class Scale {
  /** Of the system. */
  readonly bytes: number;
  readonly #archiveBytes: number;

  constructor(bytes: number, archiveBytes: number) {
    this.bytes = bytes;
    this.#archiveBytes = archiveBytes;
  }

  /** `index`: as the system counts its segments, byte position / segment size. */
  place(index: number): number {
    return placeOfName(this.name(1, index), this.#archiveBytes);
  }

  /** The segment at a place, or the last of its log where the system has not so many in one. */
  index(place: number): number {
    const perLog = segmentsInLog(this.#archiveBytes);
    const own = segmentsInLog(this.bytes);
    return Math.floor(place / perLog) * own + Math.min(place % perLog, own - 1);
  }

  lsn(index: number, offset = 0): bigint {
    return BigInt(index) * BigInt(this.bytes) + BigInt(offset);
  }

  name(timeline: number, index: number): string {
    return segmentName(timeline, this.lsn(index), this.bytes);
  }
}
