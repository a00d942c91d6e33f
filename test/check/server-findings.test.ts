import { expect, test } from 'vitest';
import type { Finding } from '../../src/check/finding.ts';
import type { ServerFacts } from '../../src/check/server-facts.ts';
import { ago, serverFindings } from '../../src/check/server-findings.ts';

const primary: ServerFacts = {
  version: '16.4',
  role: 'backup',
  inRecovery: false,
  mayBackUp: true,
  backupFunctions: ['pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)'],
  walLevel: 'replica',
  archiveMode: 'on',
  archiveCommand: 'wal-e wal-push %p',
  archiveLibrary: '',
  dataDirectory: '/data',
  archiver: {
    lastArchived: '000000010000000000000003',
    lastArchivedSeconds: 40,
    lastFailed: undefined,
    lastFailedSeconds: undefined,
    failedCount: 0,
  },
};

function finding(name: string, changes: Partial<ServerFacts>): Finding | undefined {
  return serverFindings({ ...primary, ...changes }).find((one) => one.name === name);
}

test('a primary that archives is ok in every line', () => {
  expect(serverFindings(primary).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  expect(finding('archiver', {})?.message).toBe('last archived 000000010000000000000003 40 s ago');
});

test('a role without rights fails, with the grants of its version', () => {
  const found = finding('backup rights', { mayBackUp: false });
  expect(found?.state).toBe('failed');
  expect(found?.remedy).toContain(
    'GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean) TO backup; GRANT EXECUTE ON FUNCTION pg_backup_stop(boolean) TO backup;',
  );
});

test('wal_level minimal and archive_mode off fail', () => {
  expect(finding('wal_level', { walLevel: 'minimal' })?.state).toBe('failed');
  expect(finding('archive_mode', { archiveMode: 'off' })?.state).toBe('failed');
});

test('an archiver whose last attempt failed fails; one that recovered is ok and says so', () => {
  const failedOnce = { ...primary.archiver, lastFailed: '000000010000000000000004', failedCount: 3 };
  const failing = finding('archiver', { archiver: { ...failedOnce, lastFailedSeconds: 5 } });
  expect(failing).toMatchObject({ state: 'failed', message: expect.stringContaining('3 failures counted') });
  const sameSecond = { ...failedOnce, lastArchivedSeconds: 0.4, lastFailedSeconds: 0.2 };
  expect(finding('archiver', { archiver: sameSecond })).toMatchObject({
    state: 'failed',
    message: expect.stringContaining(' 0 s ago'),
  });
  const recovered = finding('archiver', { archiver: { ...failedOnce, lastFailedSeconds: 500 } });
  expect(recovered).toMatchObject({
    state: 'ok',
    message: expect.stringContaining('last failure 000000010000000000000004 8 min ago'),
  });
});

test('nothing archived is a warning on a primary and all right on a standby', () => {
  const archiver = { ...primary.archiver, lastArchived: undefined, lastArchivedSeconds: undefined };
  expect(finding('archiver', { archiver })).toMatchObject({
    state: 'warning',
    remedy: expect.stringContaining('pg_switch_wal'),
  });
  expect(finding('archiver', { archiver, inRecovery: true })?.state).toBe('ok');
  expect(finding('archiver', { archiver, inRecovery: true, archiveMode: 'always' })?.state).toBe('warning');
});

test('ages are said in the unit that a person would choose', () => {
  expect([0, 119, 120, 7199, 7200, 172799, 172800].map((seconds) => ago(seconds))).toEqual([
    '0 s ago',
    '119 s ago',
    '2 min ago',
    '119 min ago',
    '2 h ago',
    '47 h ago',
    '2 d ago',
  ]);
});
