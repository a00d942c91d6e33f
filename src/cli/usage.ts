/** Errors of the command line itself. */
import { UsageError, UserError } from '../errors.ts';
import type { Commands, Group } from './command.ts';
import { helpHint, type Words } from './grammar.ts';

/** One line: what was wrong, and what to do. */
export function usageLine(error: UsageError, path: readonly string[]): string {
  const detail = error.detail === undefined ? '' : `: ${error.detail}`;
  const line = `wal-e: error: ${error.message}${detail} (${error.hint ?? helpHint(path)})`;
  return line.replaceAll(/\s*\n\s*/g, ' ');
}

/** The original's status for it: as a restore_command it stops PostgreSQL's recovery, where 1 or 2 would end it early. */
class NoSuchCommandError extends UserError {
  override readonly name = 'NoSuchCommandError';
  override readonly exitStatus = 127;
}

/** For words that name no verb that could run. */
export function noCommand(words: Words, commands: Commands): UserError {
  const [verb, inner] = words.path;
  if (words.group !== undefined && verb !== undefined) return noInnerCommand(verb, inner, words.group);
  const similar = verb === undefined ? [] : Object.keys(commands).filter((name) => isSimilar(name, verb));
  const guess = similar.length === 0 ? '' : ` Did you mean ${similar.join(' or ')}?`;
  return new NoSuchCommandError('subcommand not implemented', {
    detail:
      verb === undefined ? 'The submitted subcommand was None.' : `The submitted subcommand was "${verb}".`,
    hint: `Check for typos or consult wal-e --help.${guess}`,
  });
}

function noInnerCommand(verb: string, inner: string | undefined, group: Group): UsageError {
  const names = Object.keys(group.commands);
  if (inner === undefined) {
    return new UsageError(`the following arguments are required: {${names.join(',')}}`, {
      hint: helpHint([verb]),
    });
  }
  const choices = names.map((name) => `'${name}'`).join(', ');
  return new UsageError(`invalid choice: '${inner}' (choose from ${choices})`, { hint: helpHint([verb]) });
}

/** At most two edits apart. */
function isSimilar(a: string, b: string): boolean {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return (row[b.length] ?? 0) <= 2;
}
