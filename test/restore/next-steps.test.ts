import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NextSteps, nextSteps } from '../../src/restore/next-steps.ts';
import { createScratch } from '../harness/scratch.ts';

let directory: string;
beforeEach(() => {
  directory = createScratch();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function steps(restored: Partial<NextSteps>): Promise<string> {
  return nextSteps({
    directory,
    backup: 'base_000000010000000000000003_00000040',
    version: '16',
    restoreCommand: 'wal-e wal-fetch "%f" "%p"',
    written: undefined,
    variables: [],
    target: undefined,
    standby: false,
    ...restored,
  });
}

function put(name: string, text = ''): void {
  writeFileSync(join(directory, name), text);
}

describe('what is left to do', () => {
  it('is, from PostgreSQL 12, a setting and recovery.signal, to 11 recovery.conf', async () => {
    expect(await steps({})).toBe(
      `base_000000010000000000000003_00000040 is restored to ${directory}. What is left to do:

1. Put these files back, from your configuration management or another server; they are not in the backup:
   postgresql.conf, pg_hba.conf, pg_ident.conf
   (settings like max_connections must not be lower than on the source).
   A copy beside the source must not archive into the source's prefix (archive_mode = off); a server that takes its place archives as it did.
2. Put into postgresql.conf (or run again with --recovery-conf):
   restore_command = 'wal-e wal-fetch "%f" "%p"'
3. Make the server recover: touch ${directory}/recovery.signal
4. Start the server: pg_ctl -D ${directory} start
   It is ready when "SELECT pg_is_in_recovery()" answers f.
`,
    );
    for (const version of ['9.6', '10', '11']) {
      const text = await steps({ version });
      expect(text).toContain(
        `2. Write ${directory}/recovery.conf (or run again with --recovery-conf):\n   re`,
      );
      expect(text).not.toContain('signal');
    }
  });

  it('names only the configuration files that are not there', async () => {
    put('postgresql.conf');
    expect(await steps({})).toContain('\n   pg_hba.conf, pg_ident.conf\n');
    put('pg_hba.conf');
    put('pg_ident.conf');
    expect(await steps({})).not.toContain('Put these files back');
  });

  it('says what --recovery-conf wrote, and how a recovery that pauses goes on, as the version calls it', async () => {
    const written = ['postgresql.auto.conf', 'recovery.signal'];
    expect(await steps({ written })).toContain(
      'Recovery is set up in postgresql.auto.conf and recovery.signal: the server will recover to the end of the archived WAL.',
    );
    const target = 'the LSN 0/5';
    const paused = await steps({ written, target });
    expect(paused).toContain('will recover to the LSN 0/5, where it pauses.');
    expect(paused).toContain(
      'It is at the target when "SELECT pg_is_wal_replay_paused()" answers t. Look whether it is the right one, then "SELECT pg_wal_replay_resume()" opens it.',
    );
    expect(paused).not.toContain('pg_is_in_recovery');
    const old = await steps({ written: ['recovery.conf'], target, version: '9.6' });
    expect(old).toContain('"SELECT pg_is_xlog_replay_paused()" answers t');
    expect(old).toContain('"SELECT pg_xlog_replay_resume()" opens it');
    const standby = await steps({ written, standby: true });
    expect(standby).toContain('will recover as a standby');
    expect(standby).toContain('answers t, for it stays a standby');
  });

  it('warns of what came with the backup and would archive, recover or follow something else', async () => {
    put(
      'postgresql.auto.conf',
      "archive_mode = 'on'\nArchive_Command = 'x'\narchive_command='y'\nrestore_command = 'z'\n#archive_library = ''\n",
    );
    put('standby.signal');
    const text = await steps({});
    expect(text).toContain('sets archive_mode, archive_command.\n   A copy beside the source must not');
    expect(text).toContain('it came with the backup and sets restore_command.');
    expect(text).toContain('Check standby.signal, already there');
    expect(await steps({ written: [] })).toContain('sets archive_mode, archive_command');
    const standby = await steps({ standby: true });
    expect(standby).toContain(
      'sets archive_mode, archive_command.\n   The server archives so once it is promoted.',
    );
    expect(standby).not.toContain('A copy beside the source');
  });

  it('tells what the server needs for tablespaces inside of the data directory', async () => {
    mkdirSync(join(directory, 'pg_tblspc', '16385'), { recursive: true });
    symlinkSync('/elsewhere', join(directory, 'pg_tblspc', '16384'));
    expect(await steps({})).toContain(
      'Put allow_in_place_tablespaces = on into postgresql.conf: 16385 in pg_',
    );
  });

  it('does not read what a link in the backup leads to', async () => {
    const elsewhere = join(directory, 'elsewhere');
    writeFileSync(elsewhere, "archive_command = 'x'\n");
    symlinkSync(elsewhere, join(directory, 'postgresql.auto.conf'));
    expect(await steps({})).not.toContain('archive_command.');
  });

  it('quotes paths for the shell, and names the variables that the server needs', async () => {
    const odd = join(directory, "it's odd");
    mkdirSync(odd);
    const text = await steps({ directory: odd, variables: ['AWS_REGION'] });
    expect(text).toContain(`touch '${directory}/it'\\''s odd/recovery.signal'`);
    expect(text).toContain(`pg_ctl -D '${directory}/it'\\''s odd' start`);
    expect(text).toMatch(/in the server's environment .*:\n {3}AWS_REGION\n/);
  });
});
