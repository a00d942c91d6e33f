import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandFacts, commandFinding } from '../../src/check/command-finding.ts';

const program = realpathSync(fileURLToPath(new URL('../../bin/wal-e.cjs', import.meta.url)));
const settings = { environment: { WALE_FILE_PREFIX: 'file://localhost/archive' }, options: {} };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wale-check-'));
  mkdirSync(join(folder, 'bin'));
  symlinkSync(program, join(folder, 'bin/wal-e'));
  mkdirSync(join(folder, 'env'));
  writeFileSync(join(folder, 'env/WALE_FILE_PREFIX'), 'file://localhost/archive/\n');
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'other/WALE_FILE_PREFIX'), 'file://localhost/elsewhere\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function finding(archiveCommand: string, changes: Partial<CommandFacts> = {}) {
  const environment = { PATH: `/nowhere:${folder}/bin`, WALE_FILE_PREFIX: 'file://localhost/archive' };
  const command = archiveCommand.replaceAll('FOLDER', folder);
  return commandFinding({ archiveCommand: command, archiveLibrary: '', environment, ...changes }, settings);
}

test.each([
  ['wal-e wal-push %p'],
  ['FOLDER/bin/wal-e wal-push %p'],
  [`${program} wal-push %p`],
  ['envdir FOLDER/env wal-e wal-push %p'],
  ['wal-e --envdir FOLDER/env wal-push %p'],
  ['WALE_FILE_PREFIX=file://localhost/archive wal-e wal-push %p'],
  ['WALE_FILE_PREFIX=file:///x wal-e --file-prefix=file://localhost/archive/ wal-push %p'],
])('this program with this prefix is ok: %s', (command) => {
  expect(finding(command)).toMatchObject({ name: 'archive_command', state: 'ok' });
});

test.each([
  [
    'envdir FOLDER/other wal-e wal-push %p',
    'it archives to file://localhost/elsewhere, this check is for file://localhost/archive',
  ],
  [
    'wal-e --s3-prefix s3://b/p wal-push %p',
    'it archives to s3://b/p, this check is for file://localhost/archive',
  ],
  ['envdir FOLDER/absent wal-e wal-push %p', /it would fail: ENOENT/],
  ['/absent/wal-e wal-push %p', /"\/absent\/wal-e" is not there/],
  ['wal-e wal-push %p || true', /hides the exit status/],
  ['', /empty/],
  ['(disabled)', /empty/],
])('what would not archive here fails: %s', (command, message) => {
  const found = finding(command);
  expect(found.state).toBe('failed');
  expect(found.message).toMatch(message);
  expect(found.remedy).not.toBe('');
});

test('a program that is not found can be mended by the remedy as it stands', () => {
  const { state, message, remedy } = finding('envdir FOLDER/env wal-e wal-push %p', {
    environment: { PATH: '/nowhere' },
  });
  expect({ state, message }).toEqual({
    state: 'failed',
    message: '"wal-e" is not found in the PATH /nowhere',
  });
  expect(remedy).toBe(
    `Write the whole path: archive_command = 'envdir ${folder}/env ${program} wal-push %p'.`,
  );
  const mended = /archive_command = '(.*)'/.exec(remedy ?? '')?.[1] ?? '';
  expect(finding(mended, { environment: { PATH: '/nowhere' } }).state).toBe('ok');
});

test("a server without a PATH searches where sh does, as Debian's packages start it", () => {
  const { message } = finding('wal-e.cjs wal-push %p', { environment: {} });
  expect(message).toContain('is not found in the PATH /usr/local/bin:/usr/bin:/bin');
});

test('another program of that name, and a script, are warnings', () => {
  writeFileSync(join(folder, 'wal-e'), '#!/bin/sh\n', { mode: 0o755 });
  expect(finding('FOLDER/wal-e wal-push %p')).toMatchObject({
    state: 'warning',
    message: expect.stringContaining(`this is ${program}`),
  });
  expect(finding('/usr/local/bin/archive.sh %p')).toMatchObject({
    state: 'warning',
    message: 'cannot tell whether it runs this program: /usr/local/bin/archive.sh %p',
  });
});

test('the same prefix behind another endpoint fails, and encryption that differs is a warning', () => {
  const PATH = `${folder}/bin`;
  const s3 = { WALE_S3_PREFIX: 's3://b/p', WALE_S3_ENDPOINT: 'https://store.example' };
  const ask = (theirs: Record<string, string>, own: Record<string, string>) =>
    commandFinding(
      { archiveCommand: 'wal-e wal-push %p', archiveLibrary: '', environment: { PATH, ...theirs } },
      { environment: own, options: {} },
    );
  expect(ask(s3, s3)).toMatchObject({ state: 'ok' });
  expect(ask({ ...s3, WALE_S3_ENDPOINT: '' }, s3)).toMatchObject({
    state: 'failed',
    message: 'it archives to AWS, this check is for https://store.example',
  });
  expect(ask(s3, { ...s3, WALE_GPG_KEY_ID: 'KEY' })).toMatchObject({
    state: 'warning',
    message: 'it does not encrypt, this check encrypts to KEY',
  });
  expect(ask({ ...s3, WALE_GPG_KEY_ID: 'KEY' }, { ...s3, WALE_GPG_KEY_ID: 'KEY' })).toMatchObject({
    state: 'ok',
  });
});

test('an archive_library is a failure, since the command is then not run', () => {
  expect(finding('wal-e wal-push %p', { archiveLibrary: 'basic_archive' })).toMatchObject({
    state: 'failed',
  });
});

test('a server whose environment cannot be seen is a warning only where it matters', () => {
  const unseen = { environment: undefined };
  expect(finding('FOLDER/bin/wal-e wal-push %p', unseen)).toMatchObject({
    state: 'warning',
    message: expect.stringContaining('cannot be told'),
  });
  expect(finding('FOLDER/bin/wal-e --envdir FOLDER/env wal-push %p', unseen)).toMatchObject({ state: 'ok' });
});
