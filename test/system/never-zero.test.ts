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

describe('NODE_OPTIONS that Node refuses', () => {
  it('stop a recovery instead of ending it', () => {
    const env = { PATH: process.env.PATH, ...environment, NODE_OPTIONS: '--no-such-option' };
    const { status } = spawnSync(PROGRAM, ['wal-fetch', NAMED, join(scratch, 'out')], { env });
    expect(status).toBe(126);
  });
});
