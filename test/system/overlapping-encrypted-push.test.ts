/** Calls of wal-push that overlap, by a server that cannot decrypt: an archiver that was killed leaves its call running. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Archive, createArchive } from '../harness/archiving.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { poll } from '../harness/poll.ts';
import { runProgram, startProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const MB = 1024 * 1024;
const NAME = '000000010000000000000003';

/** Holds up the process in front of its first note until HOLD is gone, for a minute at most. */
const HOOK = `const fs = require('node:fs');
const { writeFileSync } = fs;
const { HOLD } = process.env;
const pause = new Int32Array(new SharedArrayBuffer(4));
fs.writeFileSync = (path, ...rest) => {
  if (String(path).includes('/encrypted/')) {
    writeFileSync(HOLD, '');
    for (let looks = 0; fs.existsSync(HOLD) && looks < 6000; looks += 1) Atomics.wait(pause, 0, 0, 10);
  }
  writeFileSync(path, ...rest);
};`;

describe.skipIf(!hasGpg())('wal-push, encrypting to a key that it cannot use itself', () => {
  let publicKey: Keyring;
  let archive: Archive;
  beforeAll(() => {
    publicKey = createKeyring('public');
    archive = createArchive();
  });
  afterAll(() => publicKey.dispose());

  it('recognises its object after two calls were about to store it at once, whichever was first', async () => {
    const folder = createScratch();
    const pgWal = join(folder, 'pg_wal');
    addWaiting(pgWal, NAME, segmentBytes(NAME, MB, 1));
    const hook = join(folder, 'hook.cjs');
    const hold = join(folder, 'hold');
    writeFileSync(hook, HOOK);
    const words = [`--file-prefix=${archive.prefix}`, 'wal-push', join(pgWal, NAME)];
    const environment = { GNUPGHOME: publicKey.home, WALE_GPG_KEY_ID: GOLDEN_KEY };
    const held = startProgram(words, {
      environment: { ...environment, NODE_OPTIONS: `--require ${hook}`, HOLD: hold },
    });
    await poll('the first call to be about to note its object', () => existsSync(hold));
    const quick = await runProgram(words, { environment });
    expect(quick.status, quick.stderr).toBe(0);
    rmSync(hold);
    const late = await held.finished;
    expect(late.status, late.stderr).toBe(0);
    expect(late.stderr).toContain('MSG: the file was archived before');
    const again = await runProgram(words, { environment });
    expect(again.status, again.stderr).toBe(0);
    expect(readdirSync(join(pgWal, '.wal-e', 'encrypted'))).toHaveLength(3);
  });
});
