import { describe, expect, it } from 'vitest';
import { damagedPages } from '../../src/backup/damage.ts';

const page = (lsn: bigint) => ({ file: 'base/5/1', block: Number(lsn), lsn });
const pages = [page(5n), page(10n), page(20n), page(21n)];
const blocks = (start?: bigint, stop?: bigint) => damagedPages(pages, start, stop).map(({ block }) => block);

describe('an unsound page', () => {
  it('is damage when it was last changed before the backup, or after all WAL that it has', () => {
    expect(blocks(10n, 20n)).toEqual([5, 21]);
  });

  it('is certain damage only when it is old, as long as the backup runs', () => {
    expect(blocks(10n)).toEqual([5]);
  });

  it('is damage in any case when no server runs', () => {
    expect(blocks()).toEqual([5, 10, 20, 21]);
  });
});
