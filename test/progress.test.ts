import { expect, it, vi } from 'vitest';
import { createLog } from '../src/log.ts';
import { formatBytes, formatDuration, Progress } from '../src/progress.ts';

function setUp(isTTY: boolean) {
  const lines: string[] = [];
  const written: string[] = [];
  let clock = 0;
  const log = createLog({
    sinks: [{ write: ({ message, detail }) => lines.push(`${message} | ${detail}`) }],
    terse: false,
    pid: 1,
    now: () => new Date(0),
  });
  const progress = new Progress({
    log,
    verb: 'restored',
    totalBytes: 4e9,
    totalParts: 3,
    terminal: { isTTY, write: (text) => written.push(text) },
    now: () => clock,
  });
  return { lines, written, progress, pass: (seconds: number) => (clock += seconds * 1000) };
}

it('says bytes done of total, rate, time left and parts', () => {
  const { progress, pass } = setUp(false);
  pass(10);
  progress.add(1e9);
  expect(progress.text()).toBe('restored 1.0 GB of 4.0 GB (25%), 100.0 MB/s, 30 s left, 0 of 3 parts');
  progress.end();
});

it('logs a line for each part where there is no terminal, and writes nothing else', () => {
  const { progress, lines, written, pass } = setUp(false);
  pass(1);
  progress.add(2e9);
  progress.partDone('part 1');
  progress.end();
  expect(lines).toEqual(['restored 2.0 GB of 4.0 GB (50%), 2.0 GB/s, 1 s left, 1 of 3 parts | part 1']);
  expect(written).toEqual([]);
});

it('says once a minute how far it is when no part comes to an end, and nothing in between', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const { progress, lines, pass } = setUp(false);
    const live = (seconds: number) => {
      for (let second = 0; second < seconds; second += 1) {
        pass(1);
        progress.add(1e7);
        vi.advanceTimersByTime(1000);
      }
    };
    live(59);
    expect(lines).toEqual([]);
    live(1);
    expect(lines).toEqual([expect.stringMatching(/^restored 600\.0 MB of 4\.0 GB \(15%\), 10\.0 MB\/s, /)]);
    live(30);
    progress.partDone('part 1');
    live(59);
    expect(lines).toHaveLength(2);
    live(61);
    expect(lines).toHaveLength(4);
    progress.end();
    live(120);
    expect(lines).toHaveLength(4);
  } finally {
    vi.useRealTimers();
  }
});

it('leaves a terminal with an empty line and the log without lines for parts', () => {
  const { progress, lines, written } = setUp(true);
  progress.partDone('part 1');
  progress.end();
  expect(lines).toEqual([]);
  expect(written.at(-1)).toBe('\r\u001b[K');
});

it('takes back what a failed attempt had done', () => {
  const { progress, pass } = setUp(false);
  pass(1);
  progress.add(500);
  progress.add(-500);
  expect(progress.text()).toContain('restored 0 B of 4.0 GB (0%)');
  progress.end();
});

it('formats amounts and durations for people', () => {
  expect([0, 999, 1000, 16_777_216, 5e15].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '16.8 MB',
    '5.0 PB',
  ]);
  expect([0.4, 59.6, 200, 11_000, 200_000].map(formatDuration)).toEqual([
    '0 s',
    '1 min 0 s',
    '3 min 20 s',
    '3 h 3 min',
    '2 d 7 h',
  ]);
});
