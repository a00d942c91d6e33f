import { describe, expect, it } from 'vitest';
import { plainWords } from '../../src/postgres/simple-command.ts';

describe('a shell command line', () => {
  it.each([
    ['wal-e wal-push pg_wal/X', ['wal-e', 'wal-push', 'pg_wal/X']],
    ['  wal-e \t wal-push  X ', ['wal-e', 'wal-push', 'X']],
    [`wal-e 'wal push' "X Y"Z`, ['wal-e', 'wal push', 'X YZ']],
    [`wal-e '' "a'b" 'c"d;e'`, ['wal-e', '', "a'b", 'c"d;e']],
    ['wal-e --s3-prefix=s3://a/b wal-push -p4 X', ['wal-e', '--s3-prefix=s3://a/b', 'wal-push', '-p4', 'X']],
    ['wal-e key=value', ['wal-e', 'key=value']],
    ["WALE_FILE_PREFIX='file://localhost/a b' AWS_REGION=x wal-e wal-push X", ['wal-e', 'wal-push', 'X']],
  ])('is plain: %s', (line, words) => {
    expect(plainWords(line)).toEqual(words);
  });

  it.each([
    'a && b',
    'a; b',
    'a | b',
    'a & b',
    'a || b',
    'a\nb',
    '(a)',
    '{ a; }',
    'a > f',
    'a < f',
    'a $x',
    'a $(b)',
    'a `b`',
    'a \\b',
    'a "$x"',
    'a "`b`"',
    'a "\\$"',
    'A=b c',
    'PATH=/evil wal-e',
    'WALE_X=1',
    'a *',
    'a ?',
    'a [b]',
    'a ~',
    'a # b',
    '! a',
    "a 'b",
    'a "b',
    '',
    '   ',
  ])('is more than a plain command, or none: %j', (line) => {
    expect(plainWords(line)).toBeUndefined();
  });
});
