import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LzopDecoder } from '../../src/codec/decoder.ts';
import { formatLsn } from '../../src/postgres/segment.ts';
import { TransactionEnds } from '../../src/postgres/transaction-ends.ts';
import { seededBytes } from '../harness/random.ts';
import { transactionSegment } from '../harness/segment.ts';

/** Of PostgreSQL 14, 1 MB segments. */
function golden(name: string): Buffer {
  const path = `../../fixtures/golden/seg1/archive/wal_005/${name}.lzo`;
  return Buffer.concat([...new LzopDecoder().push(readFileSync(new URL(path, import.meta.url)))]);
}

function read(segment: Uint8Array, start: bigint, chunkBytes = segment.length) {
  const ends = new TransactionEnds(start);
  const found = [];
  for (let at = 0; at < segment.length; at += chunkBytes)
    found.push(...ends.push(segment.subarray(at, at + chunkBytes)));
  return {
    lost: ends.lost,
    found: found.map(({ lsn, time, committed }) => `${formatLsn(lsn)} ${time.toISOString()} ${committed}`),
  };
}

describe('the ends of transactions in a segment', () => {
  it.each([100, 8192, 10_007, 2 ** 20])('are those of a real server, in chunks of %i bytes', (chunkBytes) => {
    const { lost, found } = read(golden('00000001000000000000000C'), 0xc00000n, chunkBytes);
    expect(lost).toBe(false);
    expect(found).toHaveLength(6);
    expect([found[0], found[5]]).toEqual([
      '0/C16EA0 2026-11-21T06:25:42.071Z true',
      '0/C3A598 2026-11-21T06:25:42.085Z true',
    ]);
    expect(read(golden('00000001000000000000000A'), 0xa00000n, chunkBytes).found).toHaveLength(23);
  });

  it('may be commits or rollbacks, and end where the zeros begin', () => {
    const time = new Date('2026-11-21T08:00:00.123Z');
    const segment = transactionSegment('000000010000000000000005', [
      { at: 0x100, time, committed: true },
      { at: 0x200, time, committed: false },
    ]);
    expect(read(segment, 0x5000000n)).toEqual({
      lost: false,
      found: ['0/5000100 2026-11-21T08:00:00.123Z true', '0/5000200 2026-11-21T08:00:00.123Z false'],
    });
  });

  it('are not told of what is no chain of records', () => {
    const segment = golden('00000001000000000000000C');
    segment.set(seededBytes(8000, 3), 0x20000 + 100);
    const { lost, found } = read(segment, 0xc00000n);
    expect(lost).toBe(true);
    expect(found).toEqual(['0/C16EA0 2026-11-21T06:25:42.071Z true']);
    expect(read(Buffer.from('WAL'), 0xc00000n).lost).toBe(true);
    expect(read(Buffer.alloc(1024 * 1024), 0xc00000n).lost).toBe(true);
  });
});
