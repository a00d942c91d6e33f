/** Every command line of the documentation is run, page by page from top to bottom, on a host as the pages describe it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, test } from 'vitest';
import { documentedCommands } from '../harness/console-blocks.ts';
import type { Host } from '../harness/host.ts';
import { createPageHost, followPage, isOriginalHost, isPossible, readPage } from '../harness/page.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
  .filter((name) => documentedCommands(readPage(name)).length > 0)
  // Followed by moving.test.ts, which goes on where the page ends.
  .filter((name) => !isOriginalHost(name));

let host: Host | undefined;

afterEach(async () => {
  await host?.dispose();
  host = undefined;
});

for (const name of pages) {
  // Skipped, and so said, where a program that the page runs is not installed.
  test.runIf(isPossible(name))(name, async () => {
    host = await createPageHost(name);
    await followPage(host, name);
  });
}
