/** `npm run demo`, as the README's first command runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { poll } from '../harness/poll.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';

const LIMIT_MS = 120_000;

interface Demonstration {
  readonly child: ChildProcess;
  readonly temporary: string;
  output(): string;
  readonly ended: Promise<{ readonly status: number | null }>;
}

function demonstrate(environment: Readonly<Record<string, string>> = {}): Demonstration {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const temporary = createScratch();
  const child = spawn(process.execPath, ['--import', './scripts/typescript.mjs', 'demo/demo.ts'], {
    cwd,
    env: { PATH: process.env.PATH ?? '', TMPDIR: temporary, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const ended = once(child, 'close').then(([status]) => ({ status }));
  return { child, temporary, output: () => output, ended };
}

async function nothingIsLeft({ temporary }: Demonstration, server?: S3Server): Promise<void> {
  await poll('temporary files to be gone', () => readdirSync(temporary).length === 0);
  await poll('its processes to end', () => processesOf(temporary).length === 0);
  expect(server?.bucket.keys() ?? []).toEqual([]);
  expect(server?.bucket.uploads.size ?? 0).toBe(0);
}

/** Command lines that name the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const words = readFileSync(join('/proc', pid, 'cmdline'), 'latin1').replaceAll('\0', ' ');
      return words.includes(folder) ? [words] : [];
    } catch {
      return [];
    }
  });
}

async function bringsItBack(demo: Demonstration): Promise<void> {
  const { status } = await demo.ended;
  expect(status, demo.output()).toBe(0);
  expect(demo.output()).toContain('The same to the last row, and the server takes writes again.');
  for (const command of ['backup-push', 'backup-list --pretty', 'backup-fetch --recovery-conf --target-time'])
    expect(demo.output()).toMatch(new RegExp(`^ {2}\\$ wal-e --envdir \\S+ ${command}`, 'm'));
}

function onS3(server: S3Server): Record<string, string> {
  return { ...testEnvironment(server.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/of/mine` };
}

it('the demonstration brings the data back, in under two minutes, and leaves nothing behind', async () => {
  const demo = demonstrate();
  await bringsItBack(demo);
  expect(demo.output()).toMatch(/^ {2}The archive is file:/m);
  await nothingIsLeft(demo);
});

it('the demonstration works on the S3 store of the environment, below a prefix of its own', async () => {
  const server = await createS3Server();
  try {
    const demo = demonstrate(onS3(server));
    await bringsItBack(demo);
    expect(demo.output()).toMatch(
      new RegExp(`^ {2}The archive is s3://${TEST_BUCKET}/of/mine/wal-e-demo-\\w{8};`, 'm'),
    );
    expect(server.log.filter((line) => line.startsWith('PUT ')).length).toBeGreaterThan(5);
    await nothingIsLeft(demo, server);
  } finally {
    await server.close();
  }
});

it('an interrupted demonstration leaves nothing behind either', async () => {
  const server = await createS3Server();
  try {
    const demo = demonstrate(onS3(server));
    await poll('the base backup', () => demo.output().includes('4. More writes'), LIMIT_MS);
    expect(server.bucket.keys().length).toBeGreaterThan(0);
    demo.child.kill('SIGINT');
    expect(await demo.ended, demo.output()).toEqual({ status: 130 });
    await nothingIsLeft(demo, server);
  } finally {
    await server.close();
  }
});
