import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { PROGRAM, runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAMED = '000000010000000000000001';

let scratch: string;
let environment: Record<string, string>;
beforeEach(() => {
  scratch = createScratch();
  environment = { WALE_FILE_PREFIX: `file://localhost${join(scratch, 'archive')}` };
});

/** A file that the program loads before anything else. */
function preload(text: string): string {
  const path = join(scratch, 'preload.cjs');
  writeFileSync(path, text);
  return `--require ${path}`;
}

describe('work that comes to a standstill', () => {
  it('never ends wal-push with 0', async () => {
    const segment = join(scratch, NAMED);
    writeFileSync(segment, segmentBytes(NAMED, MB, 1));
    const NODE_OPTIONS = preload("require('node:fs').fsync = () => {};");
    const { status, stderr } = await runProgram(['wal-push', '-p', '1', segment], {
      environment: { ...environment, NODE_OPTIONS },
    });
    expect(status, stderr).toBe(2);
    expect(stderr).toContain('nothing goes on, and the work is not done');
    expect(existsSync(join(scratch, 'archive', 'wal_005', `${NAMED}.lzo`))).toBe(false);
  });
});

describe('an object that another process has just stored', () => {
  it('is durable before wal-push ends with 0: its folder is synced', async () => {
    const segment = join(scratch, NAMED);
    writeFileSync(segment, segmentBytes(NAMED, MB, 1));
    expect((await runProgram(['wal-push', '-p', '1', segment], { environment })).status).toBe(0);
    const NODE_OPTIONS = preload(`const fs = require('node:fs');
const { fsync } = fs;
fs.fsync = (descriptor, done) => {
  if (fs.fstatSync(descriptor).isDirectory()) fs.writeSync(2, 'synced a folder');
  fsync(descriptor, done);
};`);
    const { status, stderr } = await runProgram(['wal-push', '-p', '1', segment], {
      environment: { ...environment, NODE_OPTIONS },
    });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('synced a folder');
  });
});

describe('NODE_OPTIONS that Node refuses', () => {
  it('stop a recovery instead of ending it', () => {
    const env = { PATH: process.env.PATH, ...environment, NODE_OPTIONS: '--no-such-option' };
    const { status } = spawnSync(PROGRAM, ['wal-fetch', NAMED, join(scratch, 'out')], { env });
    expect(status).toBe(126);
  });
});
