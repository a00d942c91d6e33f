/** What archive_command and restore_command load where the archive is in S3: see hot-path.test.ts. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAM } from '../harness/program.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const LOADS = fileURLToPath(new URL('../harness/loads.cjs', import.meta.url));
const SEGMENT_BYTES = 1024 * 1024;

let server: S3Server;
let walDirectory: string;
beforeAll(async () => {
  server = await createS3Server();
  walDirectory = join(createScratch(), 'pg_wal');
  mkdirSync(join(walDirectory, 'archive_status'), { recursive: true });
  // The code cache, and what is found out about the store, are made by the first call.
  await push('000000010000000000000001');
});
afterAll(() => server.close());

async function run(args: readonly string[]) {
  const child = spawn(process.execPath, ['-r', LOADS, PROGRAM, ...args], {
    env: {
      PATH: process.env.PATH,
      WALE_LOG_DESTINATION: 'stderr',
      WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix`,
      ...testEnvironment(server.url),
    },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const pipe = child.stdio[3];
  if (!(pipe instanceof Object && 'readable' in pipe)) throw new Error('no pipe to the process');
  const loads = JSON.parse(await text(pipe)) as { required: string[]; files: string[] };
  const names = loads.files.map((path) => basename(path)).filter((name) => name !== basename(LOADS));
  return {
    files: names.map((name) => name.replace(/-[A-Z0-9]{8}(?=\.cjs$)/, '')).sort(),
    builtins: loads.required.filter((name) => name.startsWith('node:')).sort(),
  };
}

function push(name: string) {
  const path = join(walDirectory, name);
  writeFileSync(path, segmentBytes(name, SEGMENT_BYTES, 1));
  return run(['wal-push', path]);
}

const LOADED = {
  files: ['main.cjs', 's3.cjs', 'wal-e.cjs'],
  // node:net costs nothing more: node:http is made of it.
  builtins: ['node:crypto', 'node:fs', 'node:http', 'node:net', 'node:path', 'node:vm', 'node:zlib'],
};

test('by wal-push of one segment: no SDK, one request', async () => {
  server.forgetLog();
  expect(await push('000000010000000000000002')).toEqual(LOADED);
  expect(server.log).toHaveLength(1);
});

test('by wal-fetch of one segment: no SDK, one request', async () => {
  server.forgetLog();
  const target = join(walDirectory, 'RECOVERYXLOG');
  expect(await run(['wal-fetch', '-p', '0', '000000010000000000000001', target])).toEqual(LOADED);
  expect(server.log).toHaveLength(1);
});
