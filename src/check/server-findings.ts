/** What the server's facts mean for archiving and backing up; pure. */
import { type Finding, failed, ok, warning } from './finding.ts';
import type { ArchiverFacts, ServerFacts } from './server-facts.ts';

export function serverFindings(facts: ServerFacts): Finding[] {
  return [
    ok(
      'postgresql',
      `version ${facts.version}, as role ${facts.role}${facts.inRecovery ? ', a standby' : ''}`,
    ),
    rights(facts),
    walLevel(facts),
    archiveMode(facts),
    archiver(facts),
  ];
}

function rights({ mayBackUp, role, backupFunctions: functions }: ServerFacts): Finding {
  if (mayBackUp) return ok('backup rights', `role ${role} may start and stop a backup`);
  return failed(
    'backup rights',
    `role ${role} may not start and stop a backup`,
    `As a superuser, in the database that backup-push connects to: ${functions.map((name) => `GRANT EXECUTE ON FUNCTION ${name} TO ${role};`).join(' ')}`,
  );
}

function walLevel({ walLevel: level }: ServerFacts): Finding {
  if (level !== 'minimal') return ok('wal_level', level);
  return failed(
    'wal_level',
    'minimal: the WAL does not hold what a restore needs',
    'Set wal_level = replica and restart PostgreSQL.',
  );
}

function archiveMode({ archiveMode: mode, inRecovery }: ServerFacts): Finding {
  if (mode === 'off')
    return failed(
      'archive_mode',
      'off: nothing is archived',
      'Set archive_mode = on and restart PostgreSQL.',
    );
  if (inRecovery && mode === 'on')
    return ok('archive_mode', 'on: as long as this server is a standby, its primary archives');
  return ok('archive_mode', mode);
}

function archiver({ archiver: facts, archiveMode: mode, inRecovery }: ServerFacts): Finding {
  const name = 'archiver';
  if (isFailing(facts))
    return failed(
      name,
      `the last attempt failed: ${facts.lastFailed} ${ago(facts.lastFailedSeconds)}, ${facts.failedCount} failures counted`,
      "PostgreSQL's log has the message of wal-push; docs/troubleshooting.md lists them. PostgreSQL keeps the WAL and tries again.",
    );
  if (facts.lastArchived !== undefined)
    return ok(
      name,
      `last archived ${facts.lastArchived} ${ago(facts.lastArchivedSeconds)}${failures(facts)}`,
    );
  if (inRecovery && mode !== 'always') return ok(name, 'a standby: nothing to archive');
  return warning(
    name,
    'nothing has been archived since the statistics were reset',
    'Run "SELECT pg_switch_wal();" and look again: a segment must have been archived.',
  );
}

function isFailing({ lastFailedSeconds, lastArchivedSeconds }: ArchiverFacts): boolean {
  return (
    lastFailedSeconds !== undefined && lastFailedSeconds < (lastArchivedSeconds ?? Number.POSITIVE_INFINITY)
  );
}

function failures({ lastFailed, lastFailedSeconds }: ArchiverFacts): string {
  return lastFailed === undefined ? '' : `; last failure ${lastFailed} ${ago(lastFailedSeconds)}`;
}

/** `40 s ago`, `3 h ago`, `12 d ago`. */
export function ago(seconds = 0): string {
  if (seconds < 120) return `${Math.floor(seconds)} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}
