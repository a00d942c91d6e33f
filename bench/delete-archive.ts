/** The archive that delete is measured on: WAL before one backup, which goes, and some after it, which stays. */
import { backupName, sentinelKey, versionKey, walKey } from '../src/archive/layout.ts';
import { segmentName } from '../src/postgres/segment.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const KEPT_SEGMENTS = 10_000;

export interface MeasuredArchive {
  /** WAL segments before the backup. */
  readonly doomed: number;
  readonly backup: readonly { readonly key: string; readonly text: string }[];
  /** All WAL, ascending. */
  wal(): Generator<string>;
}

export function measuredArchive(doomed: number): MeasuredArchive {
  const nameOf = (index: number) => segmentName(1, BigInt(index) * BigInt(SEGMENT_BYTES), SEGMENT_BYTES);
  const backup = backupName(nameOf(doomed), 40);
  const sentinel = {
    wal_segment_backup_stop: nameOf(doomed),
    wal_segment_offset_backup_stop: '00000256',
    expanded_size_bytes: 1,
  };
  return {
    doomed,
    backup: [
      { key: versionKey(backup), text: 'PostgreSQL' },
      { key: sentinelKey(backup), text: JSON.stringify(sentinel) },
    ],
    *wal() {
      for (let index = 0; index < doomed + KEPT_SEGMENTS; index += 1) yield walKey(nameOf(index));
    },
  };
}
