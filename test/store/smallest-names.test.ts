import { describe, expect, it } from 'vitest';
import { SmallestNames } from '../../src/store/smallest-names.ts';
import { seededRandom } from '../harness/random.ts';

const SEED = 7;

/** Segments of several timelines and logs, far ones too, and names of every other kind between them. */
function namesAtRandom(count: number): string[] {
  const random = seededRandom(SEED);
  const hex = (below: number, digits: number) =>
    Math.floor(random() * below)
      .toString(16)
      .toUpperCase()
      .padStart(digits, '0');
  const names = new Set<string>();
  while (names.size < count) {
    const segment = hex(4, 8) + hex(random() < 0.1 ? 2 ** 32 : 3, 8) + hex(random() < 0.1 ? 2 ** 32 : 300, 8);
    const kind = random();
    if (kind < 0.7) names.add(`${segment}.lzo`);
    else if (kind < 0.8) names.add(`${segment}.00000028.backup.lzo`);
    else if (kind < 0.9)
      names.add(`${hex(9, 8)}.history.lzo`.replace(/^0000000(.)/, `0000000$1.${hex(2 ** 32, 8)}`));
    else names.add(`${hex(2 ** 32, 8).toLowerCase()}${random() < 0.5 ? '/' : '\u00e9'}`);
  }
  return [...names].sort(() => random() - 0.5);
}

/** As a listing does: looks again for what did not fit. */
function inTurns(names: readonly string[], room: number): { all: string[]; turns: number } {
  const smallest = new SmallestNames(room);
  const all: string[] = [];
  let turns = 0;
  do {
    smallest.restart(all.at(-1));
    for (const name of names) smallest.add(name);
    all.push(...smallest.ascending());
    turns += 1;
  } while (smallest.isPartial);
  return { all, turns };
}

describe('the names of a folder', () => {
  const names = namesAtRandom(3000);
  const sorted = [...names].sort();

  it('come in one turn when they fit, in the order of their bytes', () => {
    expect(inTurns(names, 100_000)).toEqual({ all: sorted, turns: 1 });
  });

  it.each([4000, 500, 64])(
    'come in several turns in the room of %i numbers, none twice and none lost',
    (room) => {
      const { all, turns } = inTurns(names, room);
      expect(all).toEqual(sorted);
      expect(turns).toBeGreaterThan(1);
    },
  );

  it('come one by one when there is room for none', () => {
    expect(inTurns(names.slice(0, 50), 1).all).toEqual(names.slice(0, 50).sort());
  });

  it('of segments alone fill the room with many times as many', () => {
    const segments = Array.from(
      { length: 900 },
      (_, i) => `00000001000000${(9999 - i).toString().padStart(10, '0')}.lzo`,
    );
    expect(inTurns(segments, 1000).turns).toBe(1);
    expect(
      inTurns(
        segments.map((name) => `${name}.x`),
        1000,
      ).turns,
    ).toBeGreaterThan(7);
  });
});
