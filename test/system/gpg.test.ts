/** Encryption through the user's own gpg, from the command line: what is missing, locked or expired is said before any work. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKeyring, GOLDEN_GPG, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { hasLzop, lzop } from '../harness/lzop.ts';
import { poll } from '../harness/poll.ts';
import { logEntries, type ProgramResult, runProgram } from '../harness/program.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const STORED = '00000001000000000000000A';
const SEGMENTS = ['3', '4', '5', '6', '7', '8'].map((digit) => `00000001000000000000000${digit}`);
const [FIRST = '', SECOND = '', THIRD = ''] = SEGMENTS;
const PRESET = '/usr/lib/gnupg/gpg-preset-passphrase';
const MISSING = 'could not run one or more external programs WAL-E depends upon';

describe.runIf(hasGpg())('gpg', () => {
  let folder: string;
  let archive: string;
  let secret: Keyring;
  let publicOnly: Keyring;

  beforeAll(() => {
    secret = createKeyring('secret');
    publicOnly = createKeyring('public');
  });
  afterAll(() => {
    secret.dispose();
    publicOnly.dispose();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wale-'));
    archive = join(folder, 'archive');
    mkdirSync(join(folder, 'pg_wal/archive_status'), { recursive: true });
    return () => rmSync(folder, { recursive: true, force: true });
  });

  const run = (args: readonly string[], home: string, environment: Record<string, string> = {}) =>
    runProgram(args, {
      cwd: folder,
      environment: { WALE_FILE_PREFIX: `file://localhost${archive}`, GNUPGHOME: home, ...environment },
    });
  const encryptedArchive = () => cpSync(join(GOLDEN_GPG, 'archive'), archive, { recursive: true });
  const add = (name: string) =>
    writeFileSync(join(folder, 'pg_wal', name), segmentBytes(name, MB, Number.parseInt(name.slice(-1), 16)));
  const object = (name: string) => readFileSync(join(archive, `wal_005/${name}.lzo`));
  const fetched = (name: string, home: string) => run(['wal-fetch', '-p', '0', name, 'fetched'], home);

  function expectFetched(name: string): void {
    const [found, expected] = ['fetched', `pg_wal/${name}`].map((path) => readFileSync(join(folder, path)));
    expect(expected !== undefined && found?.equals(expected)).toBe(true);
  }

  function errorOf({ stderr }: ProgramResult) {
    const errors = logEntries(stderr).filter(({ level }) => level === 'ERROR' || level === 'CRITICAL');
    expect(errors, stderr).toHaveLength(1);
    return errors[0];
  }

  /** Verbs that read what is encrypted; none of them may leave anything. */
  const READING = [
    ['backup-fetch', '--blind-restore', 'restored', 'LATEST'],
    ['backup-fetch', '--blind-restore', '--dry-run', 'restored', 'LATEST'],
    ['wal-fetch', '-p', '0', STORED, 'fetched'],
    ['wal-verify', '--read'],
  ];

  test.each(READING)(
    'that is not installed is said by %s %s %s, before anything is written',
    async (...args) => {
      encryptedArchive();
      const result = await run(args, secret.home, { PATH: '/nowhere' });
      expect(errorOf(result)).toMatchObject({ message: MISSING, hint: expect.stringContaining('PATH') });
      expect([result.status, result.stdout]).toEqual([args[0] === 'wal-fetch' ? 2 : 1, '']);
      expect(readdirSync(folder).sort()).toEqual(['archive', 'pg_wal']);
    },
  );

  test.each(READING)(
    "without the secret key is said by %s %s %s in gpg's words, before anything is written",
    async (...args) => {
      encryptedArchive();
      const result = await run(args, publicOnly.home);
      expect(errorOf(result)).toMatchObject({
        message: 'gpg could not decrypt',
        detail: expect.stringContaining('No secret key'),
        hint: expect.stringContaining('gpg --list-secret-keys'),
      });
      expect(result.stdout).toBe('');
      expect(readdirSync(folder).sort()).toEqual(['archive', 'pg_wal']);
    },
  );

  test('that is killed while it works is said to have been, and nothing is fetched', async () => {
    encryptedArchive();
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'gpg'), '#!/bin/sh\nhead -c 1000 >/dev/null\nkill -9 $$\n', { mode: 0o755 });
    const args = ['wal-fetch', '-p', '0', STORED, 'fetched'];
    const result = await run(args, secret.home, { PATH: `${bin}:${process.env.PATH}` });
    expect(errorOf(result)?.message).toBe('gpg was killed');
    expect(result.status).toBe(2);
    expect(existsSync(join(folder, 'fetched'))).toBe(false);
  });

  test('that is not installed, or has no such key, is said by the verbs that write, which store nothing', async () => {
    add(FIRST);
    const push = ['wal-push', `pg_wal/${FIRST}`];
    const backup = ['backup-push', '--while-offline', folder];
    for (const args of [push, backup]) {
      const missing = await run(['--gpg-key-id', GOLDEN_KEY, ...args], secret.home, { PATH: '/nowhere' });
      expect([missing.status, errorOf(missing)?.message]).toEqual([1, MISSING]);
      const unknown = await run(['--gpg-key-id', 'nobody@example.invalid', ...args], secret.home);
      expect([unknown.status, errorOf(unknown)?.detail]).toEqual([
        1,
        expect.stringContaining('nobody@example.invalid'),
      ]);
    }
    expect(existsSync(join(archive, 'wal_005'))).toBe(false);
    expect(existsSync(join(archive, 'basebackups_005'))).toBe(false);
  });

  test('a key that has expired encrypts nothing any more, and still reads what it had encrypted', async () => {
    const keyring = createKeyring('empty');
    try {
      const id = 'soon@example.invalid';
      keyring.gpg(['--passphrase', '', '--quick-generate-key', id, 'rsa1024', 'encrypt', 'never']);
      add(FIRST);
      add(SECOND);
      const push = (name: string) =>
        run(['--gpg-key-id', id, 'wal-push', '-p', '0', `pg_wal/${name}`], keyring.home);
      expect((await push(FIRST)).status).toBe(0);
      const print =
        /^fpr:+([0-9A-F]{40}):/m.exec(keyring.gpg(['--with-colons', '-K', id]).toString())?.[1] ?? '';
      keyring.gpg(['--passphrase', '', '--quick-set-expire', print, 'seconds=1']);
      await poll('the end of the key', async () =>
        /^pub:e:/m.test(keyring.gpg(['--with-colons', '-k', id]).toString()),
      );
      const refused = await push(SECOND);
      expect(refused.status).toBe(1);
      expect(errorOf(refused)).toMatchObject({
        message: 'gpg could not encrypt',
        hint: expect.stringContaining('not expired'),
      });
      expect(existsSync(join(archive, `wal_005/${SECOND}.lzo`))).toBe(false);
      expect((await fetched(FIRST, keyring.home)).status).toBe(0);
    } finally {
      keyring.dispose();
    }
  });

  test.runIf(existsSync(PRESET))(
    "a passphrase is the agent's: with it objects are read, without it that is said soon",
    async () => {
      const keyring = createKeyring('empty');
      try {
        const id = 'locked@example.invalid';
        keyring.gpg([
          '--pinentry-mode',
          'loopback',
          '--passphrase',
          'open it',
          '--quick-generate-key',
          id,
          'rsa1024',
          'encrypt',
          'never',
        ]);
        writeFileSync(join(keyring.home, 'gpg-agent.conf'), 'allow-preset-passphrase\n');
        const agent = { env: { ...process.env, GNUPGHOME: keyring.home } };
        execFileSync('gpgconf', ['--kill', 'all'], agent);
        add(FIRST);
        expect(
          (await run(['--gpg-key-id', id, 'wal-push', '-p', '0', `pg_wal/${FIRST}`], keyring.home)).status,
        ).toBe(0);
        const locked = await fetched(FIRST, keyring.home);
        expect(errorOf(locked)).toMatchObject({
          message: 'gpg could not decrypt',
          hint: expect.stringContaining('passphrase'),
        });
        expect(existsSync(join(folder, 'fetched'))).toBe(false);
        execFileSync('gpg-connect-agent', ['/bye'], { ...agent, stdio: 'ignore' });
        const listed = keyring.gpg(['--with-colons', '--with-keygrip', '-K', id]).toString();
        const grip = /^grp:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
        expect(spawnSync(PRESET, ['--preset', grip], { ...agent, input: 'open it' }).status).toBe(0);
        expect((await fetched(FIRST, keyring.home)).status).toBe(0);
        expectFetched(FIRST);
      } finally {
        keyring.dispose();
      }
    },
  );

  test('an archive that changed from plain to encrypted, and to another key, is read as a whole', async () => {
    const keyring = createKeyring('secret');
    try {
      const other = 'next@example.invalid';
      keyring.gpg(['--passphrase', '', '--quick-generate-key', other, 'rsa1024', 'encrypt', 'never']);
      const keys = { [FIRST]: '', [SECOND]: GOLDEN_KEY, [THIRD]: other };
      for (const [name, key] of Object.entries(keys)) {
        add(name);
        const pushed = await run(['wal-push', '-p', '0', `pg_wal/${name}`], keyring.home, {
          WALE_GPG_KEY_ID: key,
        });
        expect(pushed.status, pushed.stderr).toBe(0);
      }
      for (const name of Object.keys(keys)) {
        const result = await fetched(name, keyring.home);
        expect(result.status, result.stderr).toBe(0);
        expectFetched(name);
      }
      expect(object(FIRST).subarray(0, 4).toString('latin1')).toBe('\x89LZO');
    } finally {
      keyring.dispose();
    }
  });

  test.runIf(hasLzop)('several at once, in one call and in many, are what gpg and lzop read', async () => {
    const environment = { WALE_GPG_KEY_ID: GOLDEN_KEY };
    const [named = '', ...waiting] = SEGMENTS.slice(0, 4);
    const alone = SEGMENTS.slice(4);
    for (const name of SEGMENTS) add(name);
    for (const name of waiting) writeFileSync(join(folder, `pg_wal/archive_status/${name}.ready`), '');
    const calls = [
      run(['wal-push', '--mark-done', `pg_wal/${named}`], publicOnly.home, environment),
      ...alone.map((name) => run(['wal-push', '-p', '0', `pg_wal/${name}`], publicOnly.home, environment)),
    ];
    for (const { status, stderr } of await Promise.all(calls)) expect(status, stderr).toBe(0);
    const statuses = readdirSync(join(folder, 'pg_wal/archive_status')).sort();
    expect(statuses).toEqual(waiting.map((name) => `${name}.done`));
    for (const name of SEGMENTS) {
      const plain = lzop(['-dc'], secret.gpg(['-d'], object(name)));
      expect(plain.equals(readFileSync(join(folder, 'pg_wal', name)))).toBe(true);
    }
  });
});
