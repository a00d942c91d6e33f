/**
 * Backups that WAL-E took of a stopped server (`--while-offline`). Where the number of the segment belongs, their names
 * hold the first two digits of the position in the log, which it printed without leading zeros, and the timeline is in
 * decimal: position 0/5000028 became segment 00000050, not 00000005. So a name only tells in which log its backup starts.
 */
import { hex8, LOG_BYTES } from '../postgres/segment.ts';
import type { BackupHead } from './catalog.ts';
import { type BackupName, backupOffset, backupSegment } from './layout.ts';

type Named = Pick<BackupHead, 'name' | 'reading'>;

/** Where a sentinel cannot be read the name alone tells: one backup in 256 of other kinds looks like it. */
export function isMisnamed({ name, reading }: Named): boolean {
  if (!looksMisnamed(name)) return false;
  if (reading.kind !== 'read') return reading.kind === 'unreadable';
  const { own, stopSegment, stopOffset } = reading.sentinel;
  // A backup of a running server never stops where it starts.
  return own === undefined && stopSegment === backupSegment(name) && stopOffset === backupOffset(name);
}

function looksMisnamed(name: BackupName): boolean {
  const offset = backupOffset(name);
  return offset.startsWith('000000') && backupSegment(name).slice(16) === offset;
}

/** All that the WAL it needs can begin with: its own start; of a misnamed backup the first segment of its log. */
export function earliestSegments(backup: Named): readonly string[] {
  const isPlain = backup.reading.kind === 'read' && !isMisnamed(backup);
  return isPlain ? [backupSegment(backup.name)] : earliestByName(backup.name);
}

/** The same while there is no sentinel to tell whether the name is right. */
export function earliestByName(name: BackupName): readonly string[] {
  const segment = backupSegment(name);
  if (!looksMisnamed(name)) return [segment];
  return timelinesOf(segment).map((timeline) => `${timeline}${segment.slice(8, 16)}00000000`);
}

export interface PossibleStart {
  readonly timeline: number;
  /** Byte position / segment size. */
  readonly index: number;
}

/** Where a misnamed backup may start: its two digits, however many more followed them. Ascending on each timeline. */
export function possibleStarts({ name }: Named, segmentBytes: number): readonly PossibleStart[] {
  const segment = backupSegment(name);
  const digits = Number.parseInt(segment.slice(22), 16);
  const indexes = new Set<number>();
  for (let more = 6; more >= 0; more -= 1) {
    const first = Math.floor((digits * 16 ** more) / segmentBytes);
    const last = Math.floor(((digits + 1) * 16 ** more - 1) / segmentBytes);
    for (let index = first; index <= last; index += 1) indexes.add(index);
  }
  const log = Number.parseInt(segment.slice(8, 16), 16) * (LOG_BYTES / segmentBytes);
  return timelinesOf(segment).flatMap((timeline) =>
    [...indexes]
      .sort((a, b) => a - b)
      .map((index) => ({ timeline: Number.parseInt(timeline, 16), index: log + index })),
  );
}

/** Eight hex digits each. */
function timelinesOf(segment: string): string[] {
  const digits = segment.slice(0, 8);
  if (!/^\d+$/.test(digits)) return [digits];
  return [...new Set([digits, hex8(Number(digits))])];
}
