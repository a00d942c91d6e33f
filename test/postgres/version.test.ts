import { describe, expect, it } from 'vitest';
import { VERSIONS, versionOfCatalog, versionOfServer } from '../../src/postgres/version.ts';

describe('a version of PostgreSQL', () => {
  it.each([
    [90624, '9.6', 106, /pg_start_backup\(\$1, \$2, false\)/, /pg_stop_backup\(false\)/],
    [100023, '10', 106, /pg_start_backup\(\$1, \$2, false\)/, /pg_stop_backup\(false, false\)/],
    [140023, '14', 114, /pg_start_backup\(\$1, \$2, false\)/, /pg_stop_backup\(false, false\)/],
    [150018, '15', 114, /pg_backup_start\(\$1, \$2\)/, /pg_backup_stop\(false\)/],
    [180004, '18', 114, /pg_backup_start\(\$1, \$2\)/, /pg_backup_stop\(false\)/],
  ])(
    '%i is %s: its checkpoints have %i bytes, its backups are by %s and %s',
    (number, name, bytes, start, stop) => {
      const version = versionOfServer(number);
      expect(version).toMatchObject({ name, checkpointRecordBytes: bytes });
      expect(version.startBackup).toMatch(start);
      expect(version.stopBackup).toMatch(stop);
    },
  );

  it.each([90523, 90200, 190000, 80400])('%i is refused', (number) => {
    expect(() => versionOfServer(number)).toThrow(/not supported/);
  });

  it('is found by the catalog version in its control file', () => {
    for (const row of VERSIONS) expect(versionOfCatalog(row.controlVersion, row.catalogVersion)).toBe(row);
  });
});
