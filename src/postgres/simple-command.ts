/** The words of a shell's command line when it is one plain command: nothing to expand, nothing before, beside or after it. */

const BLANK = ' \t';
/** What has a meaning to a shell outside quotes; within double quotes only the first four have. */
const SPECIAL = '$`\\"\'\n;&|<>()*?[]{}#~=!%^';
const SPECIAL_IN_DOUBLE_QUOTES = '$`\\!';

const HARMLESS_VARIABLE = /^(?:WALE|AWS|PG)[A-Z0-9_]*$/;
const SETTING = /^(?:WALE|AWS|PG)[A-Z0-9_]*=/;

/** Without the variables that are set in front. undefined for anything but one plain command of literal words. */
export function plainWords(commandLine: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < commandLine.length; at += 1) {
    const character = commandLine.charAt(at);
    if (BLANK.includes(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'" || character === '"') {
      const end = commandLine.indexOf(character, at + 1);
      const quoted = commandLine.slice(at + 1, end);
      if (end === -1 || (character === '"' && containsAny(quoted, SPECIAL_IN_DOUBLE_QUOTES)))
        return undefined;
      word = (word ?? '') + quoted;
      at = end;
    } else if (SPECIAL.includes(character) && !isLiteralHere(character, words, word)) {
      return undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  const command = words.findIndex((candidate) => !SETTING.test(candidate));
  return command === -1 ? undefined : words.slice(command);
}

/**
 * `--option=value` is a word like any other. In front of a command, `NAME=value` sets a variable: those that only
 * wal-e, the AWS SDK and libpq look at change nothing about what is run.
 */
function isLiteralHere(character: string, words: readonly string[], word: string | undefined): boolean {
  return character === '=' && (words.length > 0 || HARMLESS_VARIABLE.test(word ?? ''));
}

function containsAny(text: string, characters: string): boolean {
  return [...characters].some((character) => text.includes(character));
}
