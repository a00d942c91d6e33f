import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { BackupControl } from '../../src/postgres/backup-control.ts';
import type { Row, Session } from '../../src/postgres/connection.ts';

const signal = new AbortController().signal;

/** A session that answers as a server of that version would, by its documentation. */
function fakeServer(versionNumber: string, { timeline = '1', inRecovery = 'false' } = {}) {
  const asked: string[] = [];
  const values: (readonly unknown[])[] = [];
  const label = 'START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nLABEL: one\n';
  const answers: readonly (readonly [RegExp, Row])[] = [
    [/server_version_num/, facts(versionNumber)],
    [/pg_try_advisory_lock/, { locked: 'true' }],
    [/pg_start_backup|pg_backup_start/, { lsn: '0/2000028' }],
    [/pg_stop_backup|pg_backup_stop/, { lsn: '0/2000100', labelfile: label, spcmapfile: '16400 /one\n' }],
    [/pg_control_recovery/, { in_recovery: inRecovery, timeline }],
    [/pg_stat_archiver/, { last_failed_wal: null, last_failed_time: null, last_archived_wal: null }],
  ];
  const session: Session = {
    address: { host: '/tmp', port: 5432 },
    lost: new AbortController().signal,
    query: async (sql, given) => {
      asked.push(sql.replace(/\s+/g, ' '));
      values.push(given);
      const row = answers.find(([pattern]) => pattern.test(sql))?.[1];
      return row === undefined ? [] : [row];
    },
    close: async () => undefined,
  };
  return { session, asked, values };
}

function facts(versionNumber: string): Row {
  return {
    version_text: 'PostgreSQL',
    version_number: versionNumber,
    system_identifier: '6320137769675861859',
    data_directory: null,
    in_recovery: 'false',
    archive_mode: 'on',
    checkpoint_seconds: '150',
  };
}

async function backup(versionNumber: string) {
  const server = fakeServer(versionNumber);
  const control = await BackupControl.open(server.session, signal);
  await control.lock(signal);
  const start = await control.start('one', true, signal);
  const stopped = await control.stop(600_000, signal);
  await control.archiverTrouble(signal);
  return { ...server, control, start, stopped };
}

describe('what is sent to PostgreSQL 9.6', () => {
  it('are the functions of its documentation: three arguments to start, one to stop, which returns label and map', async () => {
    const { asked, values, control, start, stopped } = await backup('90624');
    expect(control.facts.version.name).toBe('9.6');
    expect(asked[asked.findIndex((sql) => sql.includes('pg_start_backup'))]).toBe(
      'select pg_start_backup($1, $2, false)::text as lsn',
    );
    expect(values[asked.findIndex((sql) => sql.includes('pg_start_backup'))]).toEqual(['one', true]);
    expect(asked).toContain('select lsn::text as lsn, labelfile, spcmapfile from pg_stop_backup(false)');
    expect(start).toBe(0x2000028n);
    expect(stopped).toMatchObject({
      stop: 0x2000100n,
      startSegment: '000000010000000000000002',
      tablespaceMap: '16400 /one\n',
    });
  });

  it('are settings that it knows, and no other', async () => {
    const { asked } = await backup('90624');
    expect(asked.filter((sql) => sql.startsWith('set '))).toEqual([
      'set statement_timeout = 0',
      'set lock_timeout = 0',
      'set idle_in_transaction_session_timeout = 0',
      'set statement_timeout = 600000',
    ]);
    const stop = asked.findIndex((sql) => sql.includes('pg_stop_backup'));
    expect(asked[stop - 1]).toBe('set statement_timeout = 600000');
  });

  it('is a stop that waits for the archiver, and gives up at the limit', async () => {
    const server = fakeServer('90624');
    const session: Session = {
      ...server.session,
      query: async (sql, values, aborted) => {
        if (!sql.includes('pg_stop_backup')) return server.session.query(sql, values, aborted);
        const error = new pg.DatabaseError('canceling statement due to statement timeout', 0, 'error');
        throw Object.assign(error, { code: '57014' });
      },
    };
    const control = await BackupControl.open(session, signal);
    await expect(control.stop(5000, signal)).rejects.toMatchObject({
      message: 'the WAL that the backup needs did not reach the archive',
      detail: 'The server waited 5 s for its archiver.',
    });
  });

  it('is nothing with a name that came later: no wal where it says xlog, no lsn where it says location', async () => {
    const { asked } = await backup('90624');
    const functions = new Set(asked.join(' ').match(/\bpg_\w+(?=\()/g));
    expect([...functions].sort()).toEqual([
      ...[
        'pg_backend_pid',
        'pg_control_checkpoint',
        'pg_control_recovery',
        'pg_control_system',
        'pg_is_in_recovery',
      ],
      ...['pg_start_backup', 'pg_stop_backup', 'pg_try_advisory_lock'],
    ]);
    const columns =
      /timeline_id from pg_control_checkpoint.*min_recovery_end_timeline from pg_control_recovery/;
    expect(asked.some((sql) => columns.test(sql))).toBe(true);
  });
});

describe('what is sent to later versions', () => {
  it.each([
    ['100023', 'select pg_start_backup($1, $2, false)::text as lsn', 'pg_stop_backup(false, false)'],
    ['140017', 'select pg_start_backup($1, $2, false)::text as lsn', 'pg_stop_backup(false, false)'],
    ['150012', 'select pg_backup_start($1, $2)::text as lsn', 'pg_backup_stop(false)'],
    ['180004', 'select pg_backup_start($1, $2)::text as lsn', 'pg_backup_stop(false)'],
  ])('%s does not wait for the archiver', async (versionNumber, started, stopped) => {
    const { asked } = await backup(versionNumber);
    expect(asked).toContain(started);
    expect(asked).toContain(`select lsn::text as lsn, labelfile, spcmapfile from ${stopped}`);
    expect(asked.includes('set idle_session_timeout = 0')).toBe(Number(versionNumber) >= 140_000);
    expect(asked.includes('set transaction_timeout = 0')).toBe(Number(versionNumber) >= 170_000);
    expect(asked).not.toContain('set statement_timeout = 600000');
  });
});

describe('a server that is no longer what it was at the start', () => {
  it.each([
    [{ timeline: '2' }, 'The backup started on timeline 1; now it is 2.'],
    [{ inRecovery: 'true' }, 'The standby was promoted.'],
  ])('fails the backup: %o', async (after, detail) => {
    const control = await BackupControl.open(fakeServer('180004', after).session, signal);
    await expect(control.stop(600_000, signal)).rejects.toMatchObject({
      message: 'the server changed its timeline during the backup',
      detail,
    });
  });
});
