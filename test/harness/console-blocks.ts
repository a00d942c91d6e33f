/**
 * The command lines of a Markdown page: fenced `console` blocks, where `$ ` starts a command and other lines are its
 * output. What only the test needs, to bring the host to where the page begins, stands in `<!-- console … -->`.
 */

export interface DocumentedCommand {
  /** May be several lines (ending in a backslash, or a here-document). */
  readonly text: string;
  /** Lines that the page shows as output; `…` stands for anything, alone on a line for any number of lines. */
  readonly output: readonly string[];
  /** The block says ```` ```console fails ````: its last command does not exit with 0. */
  readonly fails: boolean;
  /** Line in the page, from 1. */
  readonly line: number;
}

const BLOCK = /^(?:```|<!-- )console(?<words>[^\n]*)\n(?<body>.*?)^(?:```|-->)$/gms;

export function documentedCommands(markdown: string): DocumentedCommand[] {
  return [...markdown.matchAll(BLOCK)].flatMap((match) => {
    const firstLine = markdown.slice(0, match.index).split('\n').length + 1;
    const commands = blockCommands(match.groups?.body ?? '', firstLine);
    const fails = (match.groups?.words ?? '').includes('fails');
    return commands.map((command, index) => ({ ...command, fails: fails && index === commands.length - 1 }));
  });
}

function blockCommands(body: string, firstLine: number): Omit<DocumentedCommand, 'fails'>[] {
  const commands: { text: string; output: string[]; line: number }[] = [];
  let open: string | undefined;
  for (const [index, line] of body.replace(/\n$/, '').split('\n').entries()) {
    const current = commands.at(-1);
    if (open === undefined && line.startsWith('$ ')) {
      commands.push({ text: line.slice(2), output: [], line: firstLine + index });
      open = continues(line);
    } else if (current === undefined) {
      throw new Error(`line ${firstLine + index}: a console block starts with "$ "`);
    } else if (open !== undefined) {
      current.text += `\n${line}`;
      open = open === '\\' ? continues(line) : line === open ? undefined : open;
    } else {
      current.output.push(line);
    }
  }
  return commands;
}

/** `\` when the next line belongs to the command, the end word of a here-document, or undefined. */
function continues(line: string): string | undefined {
  return line.endsWith('\\') ? '\\' : /<<\s*'?(\w+)'?/.exec(line)?.[1];
}

/** The shown output as an expression for the real one. */
export function outputPattern(lines: readonly string[]): RegExp {
  const parts = lines.map((line) => {
    if (line.trim() === '…') return '(?:.*\\n)*?';
    const text = line
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+'));
    return `\\s*${text.join('.*')}\\s*\\n`;
  });
  return new RegExp(`^\\s*${parts.join('')}\\s*$`);
}
