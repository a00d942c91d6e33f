/** Choices at random. `random`: from 0 up to, without, 1. */
export type Random = () => number;

/** Both ends included. */
export const int = (random: Random, from: number, to: number) =>
  from + Math.floor(random() * (to - from + 1));

export const chance = (random: Random, probability: number) => random() < probability;

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[int(random, 0, items.length - 1)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}
