import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { runProgram } from '../harness/program.ts';

const paths = Object.entries(commands).flatMap(([name, entry]) =>
  entry.kind === 'command'
    ? [name]
    : [name, ...Object.keys(entry.commands).map((inner) => `${name} ${inner}`)],
);

describe('help', () => {
  it.each(['', ...paths])('wal-e %s --help is on standard output, with status 0', async (path) => {
    const { status, stdout, stderr } = await runProgram([...path.split(' ').filter(Boolean), '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toMatchSnapshot();
  });

  it('may be asked for by -h, and anywhere', async () => {
    const { stdout } = await runProgram(['wal-push', '--help']);
    for (const args of [
      ['wal-push', '-h'],
      ['-h', 'wal-push'],
      ['wal-push', '-p', '3', '-h', 'x'],
    ]) {
      expect((await runProgram(args)).stdout).toBe(stdout);
    }
  });
});
