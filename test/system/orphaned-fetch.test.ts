/** A wal-fetch that goes on although the server that called it was killed: another one may use the destination by now. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { PROGRAM, runProgram } from '../harness/program.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const SEGMENT = '000000010000000000000002';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The segment is in the archive, and is given out when `release` was called. */
async function heldArchive() {
  const server = await createS3Server();
  ends.push(() => server.close());
  const proxy = await createFaultProxy(server.url);
  ends.push(() => proxy.close());
  const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/held` };
  const path = join(createScratch(), SEGMENT);
  writeFileSync(path, segmentBytes(SEGMENT, 1024 * 1024, 1));
  const { status, stderr } = await runProgram(['wal-push', '-p', '1', path], { environment });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const gate = new EventEmitter();
  const [asked, released] = [once(gate, 'asked'), once(gate, 'released')];
  proxy.plan = () => {
    gate.emit('asked');
    return { kind: 'held', until: released };
  };
  return { environment, asked, release: () => gate.emit('released') };
}

/** Does what a recovering server does, under its name. */
function startServer(environment: Readonly<Record<string, string>>) {
  const folder = createScratch();
  const program = join(folder, 'postgres');
  copyFileSync(process.execPath, program);
  const directory = join(folder, 'data');
  mkdirSync(join(directory, 'pg_wal'), { recursive: true });
  const command = `'${process.execPath}' '${PROGRAM}' --terse wal-fetch -p 0 ${SEGMENT} pg_wal/RECOVERYXLOG`;
  const calling = `require('node:child_process').spawnSync('sh', ['-c', process.argv[1]], { stdio: 'inherit' })`;
  const { PATH = '' } = process.env;
  const server = spawn(program, ['-e', calling, command], {
    cwd: directory,
    env: { PATH, WALE_LOG_DESTINATION: 'stderr', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // It ends when the last process has ended that writes to it.
  return { server, stderr: text(server.stderr), wal: () => readdirSync(join(directory, 'pg_wal')) };
}

describe('wal-fetch', () => {
  it('puts nothing where a server waited that was killed', async () => {
    const { environment, asked, release } = await heldArchive();
    const { server, stderr, wal } = startServer(environment);
    await asked;
    server.kill('SIGKILL');
    await once(server, 'exit');
    release();
    expect(await stderr).toContain('MSG: the server that asked for the file has ended');
    expect(wal()).toEqual([]);
  });

  it('puts the file where a server waits that runs', async () => {
    const { environment, release } = await heldArchive();
    release();
    const { stderr, wal } = startServer(environment);
    expect(await stderr).toBe('');
    expect(wal()).toEqual(['RECOVERYXLOG']);
  });
});
