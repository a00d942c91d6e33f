import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { describeTarget, parseTarget, parseTime } from '../../src/restore/recovery-target.ts';

const none = {
  targetTime: undefined,
  targetLsn: undefined,
  targetName: undefined,
  targetTimeline: undefined,
};

describe('a target time', () => {
  it.each([
    ['2026-11-21T08:00:00Z', '2026-11-21 08:00:00+00', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21 09:00:00+01', '2026-11-21 09:00:00+01', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21 13:30:00.123456+05:30', '2026-11-21 13:30:00.123456+05:30', '2026-11-21T08:00:00.123Z'],
    ['2026-11-21 03:00 -0500', '2026-11-21 03:00:00-05', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21t08:00:00z', '2026-11-21 08:00:00+00', '2026-11-21T08:00:00.000Z'],
  ])('%s is %s for PostgreSQL', (given, text, instant) => {
    expect(parseTime(given)).toEqual({ text, date: new Date(instant) });
  });

  it.each([
    '2026-11-21 08:00:00',
    'yesterday',
    '2026-02-30T08:00:00Z',
    '2026-11-21T25:00:00Z',
    '2026-13-01T00:00:00Z',
    "2026-11-21 08:00:00+00'; x",
    '',
  ])('%j is refused: it has no zone, or is no time', (given) => {
    expect(() => parseTime(given)).toThrow(UsageError);
  });
});

it('takes one of time, LSN and name', () => {
  expect(parseTarget({ ...none, targetLsn: '16/B374D848' })).toMatchObject({
    lsn: 0x16b374d848n,
    timeline: 'latest',
  });
  expect(parseTarget({ ...none, targetName: 'before upgrade' }).name).toBe('before upgrade');
  expect(() => parseTarget({ ...none, targetLsn: '0/1', targetName: 'x' })).toThrow(UsageError);
});

it.each([
  { targetLsn: '0x16' },
  { targetLsn: '1/2/3' },
  { targetName: '' },
  { targetName: 'a\nb' },
  { targetName: 'x'.repeat(64) },
  { targetTimeline: '0' },
  { targetTimeline: 'newest' },
  { targetTimeline: '99999999999' },
])('refuses %j', (options) => {
  expect(() => parseTarget({ ...none, ...options })).toThrow(UsageError);
});

it('takes a timeline by number, latest or current', () => {
  expect(parseTarget({ ...none, targetTimeline: '3' }).timeline).toBe(3);
  expect(parseTarget({ ...none, targetTimeline: 'current' }).timeline).toBe('current');
});

it('describes itself', () => {
  expect(describeTarget(parseTarget(none))).toBeUndefined();
  expect(describeTarget(parseTarget({ ...none, targetLsn: '16/B374D848' }))).toBe('the LSN 16/B374D848');
});
