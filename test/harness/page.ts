/** Runs the command lines of a documentation page, from top to bottom, on a host as the pages describe one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type DocumentedCommand, documentedCommands, outputPattern } from './console-blocks.ts';
import { hasGpg } from './gpg.ts';
import { createHost, type Host } from './host.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `<!-- host: postgres 11 -->` on the page, with `original` for one that WAL-E archived; else a server of version 16. */
const HOST = /<!-- host: postgres (?<version>\d+)(?<original> original)? -->/;

export function readPage(name: string): string {
  return readFileSync(join(root, name), 'utf8');
}

export function isOriginalHost(name: string): boolean {
  return HOST.exec(readPage(name))?.groups?.original !== undefined;
}

/** `<!-- needs: gpg -->` on a page whose commands run it. */
export function isPossible(name: string): boolean {
  return !readPage(name).includes('<!-- needs: gpg -->') || hasGpg();
}

export function createPageHost(name: string): Promise<Host> {
  const { version = '16', original } = HOST.exec(readPage(name))?.groups ?? {};
  return createHost({ postgres: Number(version), original: original !== undefined });
}

/** `name`: relative to the repository. */
export async function followPage(host: Host, name: string): Promise<void> {
  for (const command of documentedCommands(readPage(name))) await follow(host, name, command);
}

async function follow(on: Host, page: string, command: DocumentedCommand): Promise<void> {
  const { status, output: raw } = await on.run(command.text);
  const output = raw.replaceAll('\r\n', '\n');
  const place = `${page}:${command.line}: $ ${command.text}\n${output}`;
  if ((status === 0) === command.fails) expect.fail(`${place}\nexit status ${status}\n${serverLogs(on)}`);
  if (command.output.length > 0) expect(output, place).toMatch(outputPattern(command.output));
}

export function serverLogs(on: Host): string {
  const folder = join(on.folder, 'var/log/postgresql');
  const tail = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').slice(-40).join('\n');
  return readdirSync(folder)
    .map((name) => `--- ${name}\n${tail(name)}`)
    .join('\n');
}
