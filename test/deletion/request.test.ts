import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkArguments, type DeleteArguments, youngSince } from '../../src/deletion/request.ts';
import { UsageError } from '../../src/errors.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const withAge = (orphansOlderThan: string | undefined): DeleteArguments => ({
  ...{ confirm: true, dryRun: false, json: false, verb: 'old-versions' },
  orphansOlderThan,
});

describe('--orphans-older-than', () => {
  it.each([
    [undefined, 7 * DAY],
    ['2d', 2 * DAY],
    ['36h', 36 * HOUR],
    ['90m', 90 * MINUTE],
    ['30s', 30_000],
    ['3', 3 * DAY],
    ['0', 0],
  ])('%s: %d ms', (text, age) => {
    expect(NOW - youngSince(withAge(text)).getTime()).toBe(age);
  });

  it.each(['', 'd', 'x7d', '7dx', '7 d', '7w', '-1', '1.5d', '1234567890'])(
    '"%s" is no age, for no verb',
    (text) => {
      expect(() => checkArguments(withAge(text))).toThrow(UsageError);
    },
  );
});

it('retain refuses numbers of backups and of days that would keep nothing', () => {
  const retain = (count: number, retainDays: number | undefined) => () =>
    checkArguments({ ...withAge(undefined), verb: 'retain', count, retainDays });
  for (const [count, days] of [
    [0, undefined],
    [-1, undefined],
    [1, 0],
    [1, -1],
  ] as const)
    expect(retain(count, days)).toThrow(UsageError);
  expect(retain(1, 1)).not.toThrow();
});
