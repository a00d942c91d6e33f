import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('the demonstration brings the data back, in under two minutes, and leaves nothing behind', async () => {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const args = ['--import', './scripts/typescript.mjs', 'demo/demo.ts'];
  const env = { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, env, timeout: 120_000 });
  expect(stdout).toContain('The same to the last row, and the server takes writes again.');
  const folders = [...stdout.matchAll(/\/\S*wale-\w{6}/g)].map(([folder]) => folder);
  expect(folders.length).toBeGreaterThan(0);
  for (const folder of folders) expect(existsSync(folder), folder).toBe(false);
});
