/** Every command line of the documentation is run, page by page from top to bottom, on a host as the pages describe it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { type DocumentedCommand, documentedCommands, outputPattern } from '../harness/console-blocks.ts';
import { createHost, type Host } from '../harness/host.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
  .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }))
  .map((page) => ({ ...page, commands: documentedCommands(page.text) }))
  .filter((page) => page.commands.length > 0);

let host: Host | undefined;

afterEach(async () => {
  await host?.dispose();
  host = undefined;
});

test.each(pages)('$name', async ({ name, text, commands }) => {
  host = await createHost({ postgres: serverVersion(text) });
  for (const command of commands) await follow(host, name, command);
});

/** `<!-- host: postgres 11 -->` in the page; without it the host has a server of version 16. */
function serverVersion(text: string): number {
  return Number(/<!-- host: postgres (\d+) -->/.exec(text)?.[1] ?? 16);
}

async function follow(on: Host, page: string, command: DocumentedCommand): Promise<void> {
  const { status, output: raw } = await on.run(command.text);
  const output = raw.replaceAll('\r\n', '\n');
  const place = `${page}:${command.line}: $ ${command.text}\n${output}`;
  if ((status === 0) === command.fails) expect.fail(`${place}\nexit status ${status}\n${serverLogs(on)}`);
  if (command.output.length > 0) expect(output, place).toMatch(outputPattern(command.output));
}

function serverLogs(on: Host): string {
  const folder = join(on.folder, 'var/log');
  const tail = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').slice(-40).join('\n');
  return readdirSync(folder)
    .map((name) => `--- ${name}\n${tail(name)}`)
    .join('\n');
}
