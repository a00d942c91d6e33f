/** WAL segments without a server: right in everything that wal-e looks at, with seeded content behind the header. */
import { segmentPosition, segmentTimeline } from '../../src/postgres/segment.ts';
import { seededBytes } from './random.ts';

export interface HeadOptions {
  readonly littleEndian?: boolean;
  /** The name's when left out. */
  readonly timeline?: number;
  readonly systemIdentifier?: bigint;
}

const NOISE_BYTES = 1024 * 1024;

/** The first 8 kB of the segment. */
export function segmentHead(name: string, segmentBytes: number, options: HeadOptions = {}): Buffer {
  const little = options.littleEndian ?? true;
  const page = Buffer.alloc(8192);
  const view = new DataView(page.buffer, page.byteOffset);
  view.setUint16(0, 0xd118, little);
  view.setUint16(2, 0x0002, little);
  view.setUint32(4, options.timeline ?? segmentTimeline(name), little);
  view.setBigUint64(8, segmentPosition(name, segmentBytes).start, little);
  view.setBigUint64(24, options.systemIdentifier ?? 7_000_000_000_000_000_001n, little);
  view.setUint32(32, segmentBytes, little);
  view.setUint32(36, 8192, little);
  return page;
}

/** A whole segment: half of each page's bytes is noise, so it compresses about as WAL does. */
export function segmentBytes(name: string, size: number, seed: number, options: HeadOptions = {}): Buffer {
  const segment = Buffer.alloc(size);
  const noise = seededBytes(NOISE_BYTES, seed);
  for (let page = 1; page * 8192 < size; page += 1) {
    segment.set(noise.subarray((page * 4096) % NOISE_BYTES).subarray(0, 4096), page * 8192);
    segment.writeUInt32LE(page, page * 8192);
  }
  segment.set(segmentHead(name, size, options));
  return segment;
}
