/**
 * What an archive_command says, read without running it: which program, with which prefix, and whether a failed push
 * reaches PostgreSQL as a failure. PostgreSQL hands the text to `sh -c` after replacing %p, %f and %%, and removes a
 * segment as soon as the status is 0; a `|| true` or a pipe at the end is therefore the loss of WAL at the first outage.
 */
import { basename } from 'node:path';
import { type ShellToken, shellTokens } from './shell-words.ts';

export interface ArchiveCommand {
  /** The word that starts wal-e, as written. */
  readonly program: string;
  /** Variables set in front of it (`A=b wal-e …`, `env A=b wal-e …`). */
  readonly variables: Readonly<Record<string, string>>;
  /** Directories whose files are variables, in order (`envdir DIR`, `--envdir DIR`). */
  readonly envdirs: readonly string[];
  /** Words between the program and `wal-push`. */
  readonly globalOptions: readonly string[];
  /** Why a failed push would not be seen, or another file pushed; empty when all is well. */
  readonly problems: readonly string[];
}

const PROGRAM = /^wal-e(\.cjs)?$/;
const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s;

/** undefined: no `wal-e … wal-push` can be seen in it (a script, a shell construct, another tool). */
export function readArchiveCommand(text: string): ArchiveCommand | undefined {
  const tokens = shellTokens(text);
  const start = tokens?.findIndex((token) => !token.operator && PROGRAM.test(basename(token.text))) ?? -1;
  if (tokens === undefined || start < 0) return undefined;
  const before = lastCommand(tokens.slice(0, start));
  const own = firstCommand(tokens.slice(start + 1));
  const verb = own.words.indexOf('wal-push');
  if (verb < 0) return undefined;
  const globalOptions = own.words.slice(0, verb);
  return {
    program: tokens[start]?.text ?? '',
    variables: Object.fromEntries(before.words.flatMap(assignment)),
    envdirs: [...envdirs(before.words, 'envdir'), ...envdirs(globalOptions, '--envdir')],
    globalOptions,
    problems: [
      ...(own.words.slice(verb + 1).some((word) => word.includes('%p')) ? [] : ['it does not pass %p']),
      ...problemsBefore(before),
      ...problemsAfter(own.rest),
    ],
  };
}

/** Value of `--name VALUE` or `--name=VALUE` among the words; the last one wins. */
export function optionValue(words: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  words.forEach((word, index) => {
    if (word === name) value = words[index + 1];
    else if (word.startsWith(`${name}=`)) value = word.slice(name.length + 1);
  });
  return value;
}

interface Before {
  readonly words: readonly string[];
  readonly operator: string | undefined;
}

interface Own {
  readonly words: readonly string[];
  /** From the operator that ends the command. */
  readonly rest: readonly ShellToken[];
}

function lastCommand(tokens: readonly ShellToken[]): Before {
  const at = tokens.findLastIndex((token) => token.operator);
  return { words: tokens.slice(at + 1).map((token) => token.text), operator: tokens[at]?.text };
}

function firstCommand(tokens: readonly ShellToken[]): Own {
  const end = tokens.findIndex((token) => token.operator && !isRedirection(token.text));
  const own = end < 0 ? tokens : tokens.slice(0, end);
  return { words: own.map((token) => token.text), rest: end < 0 ? [] : tokens.slice(end) };
}

function isRedirection(operator: string): boolean {
  return /[<>]/.test(operator);
}

function problemsBefore({ words, operator }: Before): string[] {
  const problems = words.includes('!') ? ['"!" turns a failed push into success'] : [];
  if (operator === '||')
    problems.push('what stands before "||" can succeed, and then nothing is pushed and success is reported');
  return problems;
}

function problemsAfter(rest: readonly ShellToken[]): string[] {
  const [operator, ...following] = rest;
  if (operator === undefined || operator.text === '&&' || operator.text === ')') return [];
  const next = firstCommand(following).words.join(' ');
  if (operator.text === '||') return /^(false|exit [1-9]\d*)$/.test(next) ? [] : [swallowed(`|| ${next}`)];
  if (operator.text === '|') return [swallowed(`| ${next}`)];
  if (operator.text === '&') return ['"&" reports success before the push has ended'];
  return following.length === 0 || /^exit \$\?/.test(next) ? [] : [swallowed(`; ${next}`)];
}

function swallowed(text: string): string {
  return `"${text.trim()}" hides the exit status of a failed push`;
}

function assignment(word: string): [string, string][] {
  const match = ASSIGNMENT.exec(word);
  return match?.[1] === undefined ? [] : [[match[1], match[2] ?? '']];
}

function envdirs(words: readonly string[], name: string): string[] {
  return words.flatMap((word, index) => {
    if (word.startsWith(`${name}=`)) return [word.slice(name.length + 1)];
    const directory = words[index + 1];
    return basename(word) === name && directory !== undefined ? [directory] : [];
  });
}
