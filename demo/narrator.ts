/** What the demonstration says: steps, the commands an operator would type, and what came of them. */
const isTerminal = process.stdout.isTTY === true;

export function step(text: string): void {
  say(`\n${styled('1', text)}`);
}

export function command(text: string): void {
  say(styled('36', `  $ ${text}`));
}

export function note(text: string): void {
  say(`  ${text}`);
}

export function result(text: string): void {
  say(styled('32', `  ${text.trimEnd().replaceAll('\n', '\n  ')}`));
}

function styled(code: string, text: string): string {
  return isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
