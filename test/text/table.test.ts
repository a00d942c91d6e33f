import { describe, expect, it } from 'vitest';
import { formatCount, formatTable } from '../../src/text/table.ts';

describe('a table', () => {
  it('lines its columns up and leaves no space at the end of a line', () => {
    expect(
      formatTable(
        ['name', '>size', 'note'],
        [
          ['a', '1 B', ''],
          ['long name', '100 B', 'x'],
        ],
      ),
    ).toBe('name        size  note\na            1 B\nlong name  100 B  x\n');
  });
});

describe('a count', () => {
  it('agrees with its noun', () => {
    expect([0, 1, 2].map((count) => formatCount(count, 'backup'))).toEqual([
      '0 backups',
      '1 backup',
      '2 backups',
    ]);
    expect(formatCount(2, 'copy', 'copies')).toBe('2 copies');
  });
});
