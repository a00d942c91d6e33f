/** The units of docs/systemd, by systemd's own judgement. Where systemd-analyze is not installed this is skipped. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createScratch } from '../harness/scratch.ts';
import { stageProgram } from '../harness/staging.ts';

const units = fileURLToPath(new URL('../../docs/systemd', import.meta.url));
const names = readdirSync(units).sort();
const isInstalled = spawnSync('systemd-analyze', ['--version']).status === 0;

/** What it says of the units, with the program where this machine has it, and with the change that is given. */
function verify(change: (text: string) => string = (text) => text): { status: number | null; said: string } {
  const folder = join(createScratch(), 'units');
  mkdirSync(folder);
  for (const name of names) {
    const text = readFileSync(join(units, name), 'utf8').replaceAll('/usr/local/bin/wal-e', stageProgram());
    writeFileSync(join(folder, name), change(text));
  }
  const paths = names.map((name) => join(folder, name));
  const { status, stderr, stdout } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], {
    encoding: 'utf8',
  });
  return { status, said: `${stdout}${stderr}` };
}

describe.runIf(isInstalled)('the systemd units', () => {
  test('are what systemd takes, without a word', () => {
    expect(names).toHaveLength(8);
    expect(verify()).toEqual({ status: 0, said: '' });
  });

  test('would not pass with a directive that systemd does not know, or a time that is none', () => {
    expect(verify((text) => text.replace('Nice=', 'Niceness=')).said).toContain('Niceness');
    expect(verify((text) => text.replace('OnCalendar=hourly', 'OnCalendar=sometimes')).said).toContain(
      'sometimes',
    );
  });
});
