import { describe, expect, test } from 'vitest';
import { optionValue, readArchiveCommand } from '../../src/check/archive-command.ts';

describe('the usual commands are read', () => {
  test.each([
    ['wal-e wal-push %p', 'wal-e', [], {}],
    ['/usr/local/bin/wal-e wal-push "%p"', '/usr/local/bin/wal-e', [], {}],
    ['envdir /etc/wal-e.d/env wal-e wal-push %p', 'wal-e', ['/etc/wal-e.d/env'], {}],
    [
      '/usr/bin/envdir /etc/wal-e.d/env /opt/wal-e/bin/wal-e.cjs wal-push -p 4 %p',
      '/opt/wal-e/bin/wal-e.cjs',
      ['/etc/wal-e.d/env'],
      {},
    ],
    ['wal-e --envdir /etc/wal-e.d/env wal-push %p', 'wal-e', ['/etc/wal-e.d/env'], {}],
    ['wal-e --envdir=/etc/wal-e.d/env --terse wal-push %p', 'wal-e', ['/etc/wal-e.d/env'], {}],
    [
      "WALE_S3_PREFIX='s3://b/a b' AWS_REGION=eu-west-1 wal-e wal-push %p",
      'wal-e',
      [],
      { WALE_S3_PREFIX: 's3://b/a b', AWS_REGION: 'eu-west-1' },
    ],
    [
      'env WALE_FILE_PREFIX=file:///backup timeout 60 wal-e wal-push %p 2>>/var/log/wal-e',
      'wal-e',
      [],
      { WALE_FILE_PREFIX: 'file:///backup' },
    ],
    ['test ! -f /tmp/stop && wal-e wal-push %p', 'wal-e', [], {}],
    ['wal-e wal-push %p || exit 1', 'wal-e', [], {}],
    ['wal-e wal-push %p && touch /run/archived', 'wal-e', [], {}],
    ['wal-e wal-push %p;', 'wal-e', [], {}],
  ])('%s', (text, program, envdirs, variables) => {
    expect(readArchiveCommand(text)).toMatchObject({ program, envdirs, variables, problems: [] });
  });
});

describe('a command that hides a failed push is told', () => {
  test.each([
    ['wal-e wal-push %p || true', '"|| true" hides the exit status of a failed push'],
    ['wal-e wal-push %p || :', '"|| :" hides the exit status of a failed push'],
    ['wal-e wal-push %p || exit 0', '"|| exit 0" hides the exit status of a failed push'],
    ['wal-e wal-push %p || logger failed', '"|| logger failed" hides the exit status of a failed push'],
    [
      'wal-e wal-push %p 2>&1 | logger -t wal-e',
      '"| logger -t wal-e" hides the exit status of a failed push',
    ],
    ['wal-e wal-push %p; true', '"; true" hides the exit status of a failed push'],
    ['wal-e wal-push %p\nexit 0', '"; exit 0" hides the exit status of a failed push'],
    ['wal-e wal-push %p &', '"&" reports success before the push has ended'],
    ['! wal-e wal-push %p', '"!" turns a failed push into success'],
    [
      'test -f standby || wal-e wal-push %p',
      'what stands before "||" can succeed, and then nothing is pushed and success is reported',
    ],
    ['wal-e wal-push %f', 'it does not pass %p'],
  ])('%s', (text, problem) => {
    expect(readArchiveCommand(text)?.problems).toEqual([problem]);
  });
});

test.each([
  ['/usr/local/bin/archive.sh %p'],
  ['cp %p /backup/%f'],
  ['wal-g wal-push %p'],
  ['wal-e backup-list'],
  ['echo $(wal-e wal-push %p)'],
  ['echo `wal-e wal-push %p`'],
  ['wal-e wal-push "%p'],
  [''],
])('what cannot be read is not guessed: %s', (text) => {
  expect(readArchiveCommand(text)).toBeUndefined();
});

test('options before the verb are found in both forms, and the last one wins', () => {
  const words =
    readArchiveCommand('wal-e --s3-prefix s3://a --s3-prefix=s3://b/c --terse wal-push %p')?.globalOptions ??
    [];
  expect(optionValue(words, '--s3-prefix')).toBe('s3://b/c');
  expect(optionValue(words, '--file-prefix')).toBeUndefined();
});
