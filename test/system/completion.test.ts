import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROGRAM } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';

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

const hasZsh = spawnSync('zsh', ['--version']).status === 0;

/** A zsh as one begins with it; Tab completes, and then writes what was offered. */
const ZSHRC = `
PS1=''
typeset -aU offered
source <("$PROGRAM" completion)
compadd() { local -a hits; builtin compadd -O hits "$@"; offered+=($hits); builtin compadd "$@" }
offer() { offered=(); zle complete-word; print -r -- "<<\${(j: :)offered}>>" }
zle -N offer
bindkey '^I' offer
`;

/** Types each line into it on a terminal: all is cleared, the line, Tab. */
const TYPIST = `
zmodload zsh/zpty
zpty shell zsh -i
for line; do
  zpty -w -n shell $'\\025'"$line"$'\\t'
  zpty -r -m shell answer '*<<*>>*'
  print -r -- "\${\${answer##*<<}%%>>*}"
done
zpty -d shell
`;

/** What zsh offers for each line with the cursor at its end. */
function completeInZsh(lines: readonly string[]): string[] {
  const home = createScratch();
  writeFileSync(join(home, '.zshrc'), ZSHRC);
  const output = execFileSync('zsh', ['-f', '-c', TYPIST, 'typist', ...lines], {
    cwd: home,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, ZDOTDIR: home, TERM: 'dumb', PROGRAM },
    timeout: 240_000,
  });
  return output.split('\n').slice(0, lines.length);
}

describe.runIf(hasZsh)('in zsh, Tab completes', () => {
  it('verbs, options, and files', () => {
    const offered = {
      'wal-e wal-': 'wal-push wal-fetch wal-prefetch wal-verify',
      'wal-e --terse --s3-prefix delete backup-l': 'backup-list',
      'wal-e delete -n ret': 'retain',
      'wal-e delete retain --con': '--confirm',
      'wal-e wal-push --no-m': '--no-mark-done',
      'wal-e wal-push --file': '--file-prefix',
      'wal-e --po': '',
      'wal-e wal-push .zsh': '.zshrc',
    };
    expect(completeInZsh(Object.keys(offered))).toEqual(Object.values(offered));
  });
});

describe.runIf(!hasZsh)('in zsh', () => {
  it.skip('Tab is not tried: there is no zsh on this machine', () => undefined);
});
