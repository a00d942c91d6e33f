import { describe, expect, it } from 'vitest';
import { historyName, historyTimeline, parseHistory, TimelineTree } from '../../src/archive/timeline.ts';
import { DataError } from '../../src/errors.ts';

const second = parseHistory(2, '1\t0/E00000\tno recovery target specified\n');
const third = parseHistory(
  3,
  '1\t0/E00000\tno recovery target specified\n\n2\t0/F00100\tbefore 2026-11-21\n',
);
const fork = parseHistory(4, '1\t0/C00000\tat restore point "x"\n');

describe('a history file', () => {
  it('is told by its name', () => {
    expect(historyTimeline('0000000A.history')).toBe(10);
    expect(historyTimeline('00000001.history.lzo')).toBeUndefined();
    expect(historyName(10)).toBe('0000000A.history');
  });

  it('lists the timelines that were followed, with the LSN at which each was left', () => {
    expect(third.ancestors).toEqual([
      { timeline: 1, end: 0xe00000n },
      { timeline: 2, end: 0xf00100n },
    ]);
  });

  it('may hold comments, empty lines and reasons with tabs', () => {
    expect(parseHistory(2, '# a\n\n \n1\t1/0\ta\tb').ancestors).toEqual([
      { timeline: 1, end: 0x1_0000_0000n },
    ]);
  });

  it.each([
    ['a parent that is not older', 2, '2\t0/1\n'],
    ['timeline 0', 2, '0\t0/1\n'],
    ['no LSN', 2, '1\n'],
    ['something after the LSN', 2, '1\t0/1x\n'],
    ['timelines that go back', 4, '2\t0/1\n1\t0/2\n'],
    ['positions that go back', 4, '1\t0/2\n2\t0/1\n'],
    ['binary data', 2, '\u0000\u0001'],
  ])('with %s is refused', (_what, timeline, text) => {
    expect(() => parseHistory(timeline, text)).toThrow(DataError);
  });
});

describe('the tree of timelines', () => {
  const tree = new TimelineTree([third, second, fork]);

  it('says where a timeline was left on the way to another', () => {
    expect(tree.left(1, 3)).toBe(0xe00000n);
    expect(tree.left(2, 3)).toBe(0xf00100n);
    expect(tree.left(2, 2)).toBe('itself');
    expect(tree.left(2, 4)).toBeUndefined();
    expect(tree.left(1, 9)).toBeUndefined();
  });

  it('says which timelines a position can still be followed to', () => {
    expect(tree.reachableFrom(1, 0xb00000n)).toEqual([1, 2, 3, 4]);
    expect(tree.reachableFrom(1, 0xd00000n)).toEqual([1, 2, 3]);
    expect(tree.reachableFrom(1, 0xe00000n)).toEqual([1, 2, 3]);
    expect(tree.reachableFrom(1, 0xe00001n)).toEqual([1]);
    expect(tree.reachableFrom(4, 0xe00000n)).toEqual([4]);
  });
});
