import { describe, expect, it } from 'vitest';
import {
  largestFirst,
  MAX_PART_BYTES,
  type Partition,
  partitions,
  partLimits,
} from '../../src/tar/partition.ts';

async function deal(sizes: readonly number[], bytes: number, members = 6144) {
  async function* batches() {
    for (const size of sizes) yield [{ size }];
  }
  const parts = [];
  for await (const { number, members: dealt, bytes: sum } of partitions(batches(), { bytes, members })) {
    expect(sum).toBe(dealt.reduce((total, { size }) => total + size, 0));
    parts.push({ number, sizes: dealt.map(({ size }) => size) });
  }
  return parts.sort((a, b) => a.number - b.number).map(({ sizes: list }) => list);
}

describe('a partition', () => {
  it('takes members until the next would reach the limit of bytes', async () => {
    expect(await deal([4, 5, 1, 9, 0, 0], 10)).toEqual([[4, 5], [1], [9, 0, 0]]);
  });

  it('takes no more members than the limit', async () => {
    expect(await deal([0, 0, 0, 0, 0], 10, 2)).toEqual([[0, 0], [0, 0], [0]]);
    const parts = await deal(
      Array.from({ length: 6934 }, () => 1),
      MAX_PART_BYTES,
    );
    expect(parts.map(({ length }) => length)).toEqual([6144, 790]);
  });

  it('is all of a file that reaches the limit, and the one before goes on', async () => {
    expect(await deal([1, 10, 2, 25, 3], 10)).toEqual([[1, 2, 3], [10], [25]]);
  });

  it('number 0 starts with the first member of all, whatever comes next', async () => {
    expect((await deal([0, 99], 10))[0]).toEqual([0]);
  });

  it('is numbered from 0 without gaps; nothing gives none', async () => {
    expect(await deal([], 10)).toEqual([]);
  });
});

describe('the limits', () => {
  it('give every worker several parts of a middling cluster', () => {
    expect(partLimits(2 * 1024 ** 3, 4)).toEqual({ bytes: 128 * 1024 ** 2, members: 6144 });
  });

  it('[bpush-20] never exceed those of the original, and do not chop small clusters up', () => {
    expect(partLimits(100 * 1024 ** 4, 1).bytes).toBe(1610612736);
    expect(partLimits(1000, 4).bytes).toBe(64 * 1024 ** 2);
  });
});

describe('the order', () => {
  async function order(sizes: readonly number[], membersEach = 1): Promise<number[]> {
    async function* parts(): AsyncGenerator<Partition<number>> {
      for (const [number, bytes] of sizes.entries()) {
        yield { number, bytes, members: Array.from({ length: membersEach }, () => 0) };
      }
    }
    const seen: number[] = [];
    for await (const { bytes } of largestFirst(parts())) seen.push(bytes);
    return seen;
  }

  it('is from large to small as long as there are few', async () => {
    expect(await order([3, 1, 9, 5])).toEqual([9, 5, 3, 1]);
  });

  it('never waits for all of many: sixteen are held back, or as many as have the members of one part', async () => {
    const many = Array.from({ length: 40 }, (_, i) => i);
    const seen = await order(many);
    expect([...seen].sort((a, b) => a - b)).toEqual(many);
    expect(seen[0]).toBe(15);
    expect((await order(many, 6144))[0]).toBe(1);
  });
});
