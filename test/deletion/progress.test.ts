import { expect, it } from 'vitest';
import { DeletionProgress } from '../../src/deletion/progress.ts';
import { createLog } from '../../src/log.ts';

function setUp(isTTY: boolean) {
  const lines: string[] = [];
  const written: string[] = [];
  let clock = 0;
  const progress = new DeletionProgress({
    log: createLog({
      sinks: [{ write: ({ message, detail }) => lines.push(`${message} | ${detail}`) }],
      terse: false,
      pid: 1,
      now: () => new Date(0),
    }),
    terminal: { isTTY, write: (text) => written.push(text) },
    now: () => clock,
  });
  progress.expect(4000);
  return { lines, written, progress, pass: (seconds: number) => (clock += seconds * 1000) };
}

it('writes one line again and again on a terminal, and nothing to the log', () => {
  const { progress, lines, written, pass } = setUp(true);
  pass(2);
  progress.add(1000);
  progress.add(1);
  pass(2);
  progress.add(999);
  progress.clear();
  progress.clear();
  expect(written).toEqual([
    '\r\u001b[K1000 of 4000 objects deleted (25%), 500/s, 6 s left',
    '\r\u001b[K2000 of 4000 objects deleted (50%), 500/s, 4 s left',
    '\r\u001b[K',
  ]);
  expect(lines).toEqual([]);
});

it('logs a line a minute where there is no terminal', () => {
  const { progress, lines, written, pass } = setUp(false);
  for (let second = 0; second < 125; second += 1) {
    pass(1);
    progress.add(10);
  }
  progress.clear();
  expect(written).toEqual([]);
  expect(lines).toEqual([
    'deletion under way | 600 of 4000 objects deleted (15%), 10/s, 5 min 40 s left.',
    'deletion under way | 1200 of 4000 objects deleted (30%), 10/s, 4 min 40 s left.',
  ]);
});

it('tells no total that is not known, or that was overtaken', () => {
  const { progress, written, pass } = setUp(true);
  pass(1);
  progress.add(0);
  progress.expect(0);
  pass(1);
  progress.add(1000);
  progress.expect(1500);
  pass(2);
  progress.add(1000);
  expect(written.map((line) => line.replace('\r\u001b[K', ''))).toEqual([
    expect.stringMatching(/^0 of 4000 objects deleted \(0%\), 0\/s, .* left$/),
    '1000 objects deleted, 500/s',
    '2000 objects deleted, 500/s',
  ]);
});
