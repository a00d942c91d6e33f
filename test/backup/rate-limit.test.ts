import { describe, expect, it } from 'vitest';
import { book, createRateLimit } from '../../src/backup/rate-limit.ts';

const SECOND = 1_000_000_000n;

describe('a rate limit', () => {
  it('makes each reader wait for what it and all others read', () => {
    const limit = createRateLimit(1000);
    const now = 100n * SECOND;
    expect(book(limit, 500, now)).toBe(500);
    expect(book(limit, 500, now)).toBe(1000);
    expect(book(limit, 1000, now + SECOND)).toBe(1000);
  });

  it('does not make up for time in which nobody read', () => {
    const limit = createRateLimit(1000);
    book(limit, 1000, 100n * SECOND);
    expect(book(limit, 500, 200n * SECOND)).toBe(500);
  });

  it('may be as low as one byte a second', () => {
    expect(book(createRateLimit(1), 3600, 0n)).toBe(3_600_000);
  });
});
