import { describe, expect, it } from 'vitest';
import type { KnownBackup, ListedPart } from '../../src/archive/catalog.ts';
import { backupName, CONTROL_PART, listedKey, partKey } from '../../src/archive/layout.ts';
import {
  backupPosition,
  partProblems,
  reachAlong,
  reachConsistent,
  reachNewest,
  restorability,
  targetsOf,
} from '../../src/archive/restorability.ts';
import { parseHistory, TimelineTree } from '../../src/archive/timeline.ts';
import { WalInventory } from '../../src/archive/wal-inventory.ts';
import { DataError } from '../../src/errors.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { backupOf } from './backups.ts';

const MB = 1024 * 1024;
const size = 16 * MB;
const at = (timeline: number, index: number) => segmentName(timeline, BigInt(index * size), size);

function coverage(segments: readonly string[]) {
  const inventory = new WalInventory();
  for (const name of [...segments].sort()) inventory.add(name);
  return inventory.sized(size);
}

function run(timeline: number, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => at(timeline, first + i));
}

function backup(timeline: number, start: number, stop: number, parts: readonly number[] = [0]): KnownBackup {
  const name = backupName(at(timeline, start), 40);
  const listed: ListedPart[] = parts.map((number) => ({
    key: partKey(name, number),
    number,
    size: 100,
    modified: new Date(0),
  }));
  return {
    name,
    sentinel: undefined,
    version: undefined,
    parts: listed,
    reading: {
      kind: 'read',
      sentinel: {
        stopSegment: at(timeline, stop),
        stopOffset: '00000256',
        expandedSizeBytes: 1,
        spec: undefined,
        own: undefined,
      },
    },
  };
}

const history = (timeline: number, ...ancestors: [number, number][]) =>
  parseHistory(
    timeline,
    ancestors.map(([parent, lsn]) => `${parent}\t0/${lsn.toString(16)}\treason\n`).join(''),
  );

describe('parts', () => {
  it('of the original are complete when their numbers run from 0 without a gap', () => {
    expect(partProblems(backup(1, 1, 1, [0, 1, 2]))).toEqual([]);
    expect(partProblems(backup(1, 1, 1, []))).toEqual([{ kind: 'missing', number: 0 }]);
    expect(partProblems(backup(1, 1, 1, [0, 2]))).toEqual([{ kind: 'missing', number: 1 }]);
    expect(partProblems(backup(1, 1, 1, [0, 0, 1]))).toEqual([{ kind: 'repeated', number: 0 }]);
  });

  it('of ours are those that the sentinel lists, in the sizes that it lists, and never none', () => {
    const ours = backupOf({ start: 1, system: '7', parts: [0, 1] });
    const [first, second] = ours.parts;
    if (first === undefined || second === undefined) throw new Error('no parts');
    const withSecond = (size: number) => partProblems({ ...ours, parts: [first, { ...second, size }] });
    expect(withSecond(100)).toEqual([]);
    for (const found of [99, 101])
      expect(withSecond(found)).toEqual([{ kind: 'size', number: 1, expected: 100, found }]);
    expect(partProblems({ ...ours, parts: [first] })).toEqual([{ kind: 'missing', number: 1 }]);
    expect(partProblems(backupOf({ start: 1, system: '7', parts: [] }))).toEqual([
      { kind: 'missing', number: 0 },
    ]);
  });

  it('of WAL-G count from 1, and the one with pg_control must be there', () => {
    const parts = (...numbers: number[]) =>
      numbers.map((number) => ({
        ...{ number, size: 1, modified: new Date(0) },
        key: listedKey(
          number === CONTROL_PART
            ? 'x/pg_control.tar.lzo'
            : `x/part_${String(number).padStart(3, '0')}.tar.lzo`,
        ),
      }));
    const { reading } = backup(1, 1, 1);
    expect(partProblems({ parts: parts(1, 2, CONTROL_PART), reading })).toEqual([]);
    expect(partProblems({ parts: parts(1, 3, CONTROL_PART), reading })).toEqual([
      { kind: 'missing', number: 2 },
    ]);
    expect(partProblems({ parts: parts(1, 2), reading })).toEqual([
      { kind: 'missing', number: CONTROL_PART },
    ]);
  });

  it('with absurd numbers do not make the answer large', () => {
    expect(partProblems(backup(1, 1, 1, [0, 999_999_999]))).toEqual([{ kind: 'missing', number: 1 }]);
  });
});

describe('the WAL of a backup', () => {
  const tree = new TimelineTree([]);

  it('from start to stop must be there', () => {
    const position = backupPosition(backup(1, 10, 12), size);
    expect(reachConsistent(position, tree, coverage(run(1, 10, 12))).consistent).toBe(true);
    const reach = reachConsistent(position, tree, coverage([at(1, 10), at(1, 12)]));
    expect(reach).toMatchObject({ consistent: false, missing: [{ timeline: 1, first: 11, last: 11 }] });
    expect(reachConsistent(position, tree, coverage([])).missing).toEqual([
      { timeline: 1, first: 10, last: 12 },
    ]);
  });

  it('begins where the backup starts, also where the sentinel says that it stopped before', () => {
    const position = backupPosition(backup(1, 10, 2), size);
    expect(position).toMatchObject({ startIndex: 10, stopIndex: 10, stopLsn: BigInt(10 * size) });
  });

  it('after its stop may have a gap, which ends what can be reached', () => {
    const position = backupPosition(backup(1, 10, 12), size);
    const reach = reachNewest(position, tree, coverage([...run(1, 10, 300), ...run(1, 303, 400)]));
    expect(reach.consistent).toBe(true);
    expect(reach.missing).toEqual([{ timeline: 1, first: 301, last: 302 }]);
    expect(reach.end).toEqual({ timeline: 1, index: 300 });
  });

  it('goes on in the child timeline from the segment of the switch', () => {
    const tree2 = new TimelineTree([history(2, [1, 20 * size + 100])]);
    const position = backupPosition(backup(1, 10, 12), size);
    const complete = coverage([...run(1, 10, 19), ...run(2, 20, 30)]);
    expect(reachNewest(position, tree2, complete)).toEqual({
      target: 2,
      missing: [],
      end: { timeline: 2, index: 30 },
      consistent: true,
    });
    const without = coverage([...run(1, 10, 19), ...run(2, 21, 30)]);
    expect(reachNewest(position, tree2, without).missing).toEqual([{ timeline: 2, first: 20, last: 20 }]);
    const cut = coverage([...run(1, 10, 19), ...run(2, 20, 24), ...run(2, 26, 30)]);
    expect(reachNewest(position, tree2, cut).end).toEqual({ timeline: 2, index: 24 });
  });

  it('is also the only segment before the one of the switch', () => {
    const tree2 = new TimelineTree([history(2, [1, 11 * size + 100])]);
    const position = backupPosition(backup(1, 10, 10), size);
    expect(reachNewest(position, tree2, coverage(run(2, 11, 12)))).toMatchObject({
      missing: [{ timeline: 1, first: 10, last: 10 }],
      end: undefined,
      consistent: false,
    });
  });

  it('is taken from the child where the timeline ended before the backup did', () => {
    const tree2 = new TimelineTree([history(2, [1, 12 * size + 300])]);
    const position = backupPosition(backup(1, 10, 12), size);
    const reach = reachConsistent(position, tree2, coverage([...run(1, 10, 11), at(2, 12)]));
    expect(reach).toMatchObject({ target: 2, consistent: true, end: { timeline: 2, index: 12 } });
  });

  it('does not lead to a timeline that branched off before the backup was consistent', () => {
    const tree2 = new TimelineTree([history(2, [1, 12 * size + 255]), history(3, [1, 12 * size + 256])]);
    const position = backupPosition(backup(1, 10, 12), size);
    expect(targetsOf(position, tree2, size)).toEqual([1, 3]);
  });

  it('passes through several timelines', () => {
    const tree3 = new TimelineTree([
      history(2, [1, 20 * size]),
      history(3, [1, 20 * size], [2, 20 * size + 5]),
    ]);
    const wal = coverage([...run(1, 10, 19), ...run(3, 20, 22)]);
    const position = backupPosition(backup(1, 10, 12), size);
    expect(reachAlong(position, 3, tree3, wal)).toMatchObject({
      missing: [],
      end: { timeline: 3, index: 22 },
    });
  });

  it('crosses the end of a log', () => {
    const position = backupPosition(backup(1, 250, 260), size);
    expect(at(1, 256)).toBe('000000010000000100000000');
    expect(reachConsistent(position, tree, coverage(run(1, 250, 260)))).toMatchObject({
      consistent: true,
      missing: [],
    });
  });
});

describe('a server can be started', () => {
  const tree = new TimelineTree([]);
  const sound = { ...backup(1, 10, 12), partProblems: [] };

  it('from a backup whose parts and WAL are there, whatever is missing after it', () => {
    expect(restorability(sound, tree, coverage([...run(1, 10, 12), at(1, 14)]))).toEqual({
      ok: true,
      parts: [],
      wal: [],
    });
  });

  it('from none whose sentinel cannot be read, nor without a part or a segment', () => {
    const wal = run(1, 10, 12);
    const unreadable = { ...sound, reading: { kind: 'unreadable', error: new DataError('cut') } } as const;
    expect(restorability(unreadable, tree, coverage(wal)).ok).toBe(false);
    const partProblems = [{ kind: 'missing', number: 0 }] as const;
    expect(restorability({ ...sound, partProblems }, tree, coverage(wal)).ok).toBe(false);
    expect(restorability(sound, tree, coverage(wal.slice(0, 2)))).toMatchObject({
      ok: false,
      wal: [{ timeline: 1, first: 12, last: 12 }],
    });
  });
});

describe('the inventory', () => {
  it('counts names the segment size has no room for as nothing', () => {
    const inventory = new WalInventory();
    inventory.add('0000000100000000000000FF');
    inventory.add('000000010000000000000100');
    expect(inventory.sized(size).ranges(1)).toEqual([{ first: 255, last: 255 }]);
    expect(inventory.sized(MB).ranges(1)).toEqual([{ first: 255, last: 256 }]);
  });

  it('refuses a listing that goes back, which would hide a gap', () => {
    const inventory = new WalInventory();
    inventory.add(at(1, 2));
    expect(() => inventory.add(at(1, 1))).toThrow('out of order');
  });
});
