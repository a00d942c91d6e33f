import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { PROGRAM } from '../harness/program.ts';

/** What bash offers for a line with the cursor at its end. */
function complete(line: string): string[] {
  const script = `
    source <("$0" completion)
    COMP_WORDS=($1); [[ "$1" == *" " ]] && COMP_WORDS+=('')
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _wal_e
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['-c', script, PROGRAM, line], { encoding: 'utf8' });
  return output.split('\n').filter((word) => word !== '');
}

describe('in bash, Tab completes', () => {
  it('verbs', () => {
    expect(complete('wal-e wal-')).toEqual(expect.arrayContaining(['wal-push', 'wal-fetch']));
    expect(complete('wal-e --terse --s3-prefix delete backup-l')).toEqual(['backup-list']);
    expect(complete('wal-e delete -n ret')).toEqual(['retain']);
  });

  it('options of the verb, of its group, and those of all', () => {
    expect(complete('wal-e wal-push --po')).toEqual(['--pool-size']);
    expect(complete('wal-e wal-push --no-m')).toEqual(['--no-mark-done']);
    expect(complete('wal-e delete retain --con')).toEqual(['--confirm']);
    expect(complete('wal-e wal-push --file')).toEqual(['--file-prefix']);
    expect(complete('wal-e --po')).toEqual([]);
  });

  it('files where a value or an argument is a file: nothing of its own', () => {
    expect(complete('wal-e --envdir ')).toEqual([]);
    expect(complete('wal-e wal-push ')).toEqual([]);
  });
});
