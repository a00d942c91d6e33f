/** Words and operators of a simple POSIX shell command line; enough to read an archive_command, not to run one. */

export interface ShellToken {
  readonly text: string;
  /** `|`, `||`, `&`, `&&`, `;`, `(`, `)`, redirections; a new line counts as `;`. */
  readonly operator: boolean;
}

const TOKEN =
  /(?<blank>[ \t]+|#[^\n]*)|(?<operator>&&|\|\||\d*>>?&?\d*|\d*<|[|&;()\n])|(?<word>(?:[^\s"'\\|&;()<>`]|\\.|"(?:[^"\\`]|\\.)*"|'[^']*')+)/suy;
const QUOTED = /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gsu;

/** undefined: it cannot be read (command substitution, an open quote). */
export function shellTokens(text: string): ShellToken[] | undefined {
  if (text.includes('$(')) return undefined;
  const tokens: ShellToken[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) return undefined;
    if (groups.word !== undefined) {
      tokens.push({ text: unquote(groups.word), operator: false });
    } else if (groups.operator !== undefined) {
      tokens.push({ text: groups.operator.replace('\n', ';'), operator: true });
    }
  }
  return tokens;
}

function unquote(word: string): string {
  return word.replace(QUOTED, (_, escaped?: string, double?: string, single?: string) => {
    return escaped ?? single ?? (double ?? '').replace(/\\(["\\$`])/g, '$1');
  });
}
