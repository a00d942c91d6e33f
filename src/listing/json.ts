/** `--json`: an array of objects with every name always there, null where nothing is known (docs/backup-list.md lists them). */
import { segmentTimeline } from '../postgres/segment.ts';
import type { ListedBackup } from './listed-backup.ts';

export function jsonObject(backup: ListedBackup): Readonly<Record<string, unknown>> {
  const { sentinel } = backup;
  const own = sentinel?.own;
  const seconds = own === undefined ? null : (Date.parse(own.finishTime) - Date.parse(own.startTime)) / 1000;
  return {
    name: backup.name,
    state: backup.state,
    error: backup.error ?? null,
    last_modified: backup.modified?.toISOString() ?? null,
    start_time: own?.startTime ?? null,
    finish_time: own?.finishTime ?? null,
    duration_seconds: seconds,
    expanded_size_bytes: sentinel?.expandedSizeBytes ?? null,
    stored_size_bytes: backup.storedBytes,
    parts: backup.parts,
    cold_parts: Object.fromEntries(backup.cold),
    wal_segment_backup_start: backup.startSegment,
    wal_segment_offset_backup_start: backup.startOffset,
    wal_segment_backup_stop: sentinel?.stopSegment ?? null,
    wal_segment_offset_backup_stop: sentinel?.stopOffset ?? null,
    timeline: segmentTimeline(backup.startSegment),
    start_lsn: own?.startLsn ?? null,
    stop_lsn: own?.stopLsn ?? null,
    wal_segment_size_bytes: own?.segmentBytes ?? null,
    postgres_version: backup.postgresVersion ?? null,
    system_identifier: own?.systemIdentifier ?? null,
    hostname: own?.hostname ?? null,
    data_directory: sentinel?.spec?.basePrefix ?? null,
    tablespaces: [...(sentinel?.spec?.tablespaces ?? [])].map(([oid, { loc }]) => ({ oid, location: loc })),
    from_standby: own?.fromStandby ?? null,
    offline: own?.offline ?? null,
    with_config: own?.withConfig ?? null,
    data_checksums: own?.dataChecksums ?? null,
    damaged_pages: own?.damagedPageCount ?? null,
    tool_version: own?.toolVersion ?? null,
  };
}
