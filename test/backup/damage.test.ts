import { describe, expect, it } from 'vitest';
import { MAX_LISTED_PAGES, UnsoundPages } from '../../src/backup/damage.ts';

const page = (lsn: bigint) => ({ file: 'base/5/1', block: Number(lsn), lsn });

/** In two threads' shares, as parts come from workers. */
function judged(lsns: readonly bigint[], start: bigint | undefined, stop: bigint) {
  const all = new UnsoundPages(start);
  const half = Math.ceil(lsns.length / 2);
  for (const share of [lsns.slice(0, half), lsns.slice(half)]) {
    const pages = new UnsoundPages(start);
    for (const lsn of share) pages.add(page(lsn));
    const found = pages.found();
    expect(found.certain.length).toBeLessThanOrEqual(MAX_LISTED_PAGES);
    expect(found.open.length).toBeLessThanOrEqual(MAX_LISTED_PAGES);
    all.merge(structuredClone(found));
  }
  const { pages, count } = all.damage(stop);
  return { blocks: pages.map(({ block }) => block).sort((a, b) => a - b), count };
}

function many(count: number, lsn: (index: number) => number): bigint[] {
  return Array.from({ length: count }, (_, index) => BigInt(lsn(index)));
}

describe('an unsound page', () => {
  it('is damage when it was last changed before the backup, or after all WAL that it has', () => {
    expect(judged([5n, 10n, 20n, 21n], 10n, 20n)).toEqual({ blocks: [5, 21], count: 2 });
  });

  it('is certain damage only when it is old, as long as the backup runs', () => {
    const pages = new UnsoundPages(10n);
    for (const lsn of [5n, 10n, 20n, 21n]) pages.add(page(lsn));
    expect(pages.found().certain).toEqual([page(5n)]);
  });

  it('is damage in any case when no server runs', () => {
    expect(judged([5n, 10n, 20n, 21n], undefined, 0n)).toEqual({ blocks: [5, 10, 20, 21], count: 4 });
  });
});

describe('more unsound pages than are listed', () => {
  it('are no damage when the WAL of the backup writes them all anew', () => {
    expect(
      judged(
        many(9000, (i) => 100 + (i % 50)),
        100n,
        149n,
      ),
    ).toEqual({ blocks: [], count: 0 });
  });

  it('hide none that is damaged, wherever among them it was found', () => {
    for (const at of [0, 1, 999, 1000, 4500, 8999]) {
      const lsns = many(9000, (i) => 100 + (i % 50));
      expect(judged(lsns.with(at, 99n), 100n, 149n), `old, at ${at}`).toEqual({ blocks: [99], count: 1 });
      expect(judged(lsns.with(at, 150n), 100n, 149n), `beyond, at ${at}`).toEqual({
        blocks: [150],
        count: 1,
      });
    }
  });

  it('are counted all when they are old, and listed up to a thousand', () => {
    const { blocks, count } = judged(
      many(5000, (i) => i),
      4000n,
      10_000n,
    );
    expect(count).toBe(4000);
    expect(blocks).toHaveLength(MAX_LISTED_PAGES);
  });
});
