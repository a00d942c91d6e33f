import { expect, it } from 'vitest';
import { earliestSegments, isMisnamed, possibleStarts } from '../../src/archive/misnamed.ts';
import { backupOf, SEGMENT_BYTES, segmentAt } from './backups.ts';

const MB = 1024 * 1024;
const misnamed = backupOf({ start: 0x50, offset: 50, stopOffset: '00000050' });

it('a backup that stops where it starts, and whose offset is its number, is named after the wrong segment', () => {
  expect(isMisnamed(misnamed)).toBe(true);
  expect(isMisnamed(backupOf({ start: 0x50, offset: 50 }))).toBe(false);
  expect(isMisnamed(backupOf({ start: 0x50, offset: 40, stopOffset: '00000040' }))).toBe(false);
  expect(isMisnamed(backupOf({ start: 0x50, offset: 50, stopOffset: '00000050', system: '7' }))).toBe(false);
  expect(isMisnamed(backupOf({ start: 0x50, offset: 50, complete: false }))).toBe(false);
});

it('its WAL begins in its log, on the timeline that its digits are in hex or in decimal; that of others where they start', () => {
  expect(earliestSegments(misnamed)).toEqual([segmentAt(1, 0)]);
  const later = backupOf({ timeline: 0x12, start: 0x250, offset: 50, stopOffset: '00000050' });
  expect(earliestSegments(later)).toEqual([segmentAt(0x12, 0x200), segmentAt(12, 0x200)]);
  expect(earliestSegments(backupOf({ start: 0x50 }))).toEqual([segmentAt(1, 0x50)]);
});

it('it may start in each segment whose position begins with its digits', () => {
  // 0/50, 0/5000028, 0/50000028.
  expect(possibleStarts(misnamed, SEGMENT_BYTES).map(({ index }) => index)).toEqual([0, 5, 0x50]);
  const small = possibleStarts(misnamed, MB).map(({ index }) => index);
  expect(small).toEqual([0, 5, 0x50, ...Array.from({ length: 16 }, (_, i) => 0x500 + i)]);
  expect(possibleStarts(misnamed, 64 * MB).map(({ index }) => index)).toEqual([0, 1, 0x14]);
});
