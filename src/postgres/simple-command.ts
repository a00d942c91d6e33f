/** The words of a shell's command line when it is one plain command: nothing to expand, nothing before, beside or after it. */

const BLANK = ' \t';
/** What has a meaning to a shell outside quotes; within double quotes only the first four have. */
const SPECIAL = '$`\\"\'\n;&|<>()*?[]{}#~=!%^';
const SPECIAL_IN_DOUBLE_QUOTES = '$`\\!';

/** undefined for anything but one plain command of literal words. */
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
  return words.length === 0 ? undefined : words;
}

/** `--option=value` is a word like any other; `NAME=value` in front of a command is not. */
function isLiteralHere(character: string, words: readonly string[], word: string | undefined): boolean {
  return character === '=' && (words.length > 0 || word?.startsWith('-') === true);
}

function containsAny(text: string, characters: string): boolean {
  return [...characters].some((character) => text.includes(character));
}
