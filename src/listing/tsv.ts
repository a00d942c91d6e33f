/**
 * The original's form, which scripts parse: tab-separated, CRLF, header first (Python's csv dialect excel-tab). The
 * last two columns and the size are empty unless details are asked for.
 */
import type { ListedBackup } from './listed-backup.ts';

const COLUMNS = [
  'name',
  'last_modified',
  'expanded_size_bytes',
  'wal_segment_backup_start',
  'wal_segment_offset_backup_start',
  'wal_segment_backup_stop',
  'wal_segment_offset_backup_stop',
];

/** `withState`: one more column, for lists that hold more than the original's would. */
export function tsvHeader(withState: boolean): string {
  return line(withState ? [...COLUMNS, 'state'] : COLUMNS);
}

export function tsvLine(backup: ListedBackup, withState: boolean): string {
  const { sentinel } = backup;
  const fields = [
    backup.name,
    backup.modified?.toISOString() ?? '',
    sentinel === undefined ? '' : String(sentinel.expandedSizeBytes),
    backup.startSegment,
    backup.startOffset,
    sentinel?.stopSegment ?? '',
    sentinel?.stopOffset ?? '',
  ];
  return line(withState ? [...fields, backup.state] : fields);
}

function line(fields: readonly string[]): string {
  return `${fields.join('\t')}\r\n`;
}
