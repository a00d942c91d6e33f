import { describe, expect, it } from 'vitest';
import { readRetrySettings } from '../../src/settings/retry.ts';

describe('WALE_RETRIES', () => {
  it.each([
    [undefined, 100],
    ['', 100],
    ['7', 7],
    ['1', 1],
    ['0', Number.POSITIVE_INFINITY],
    ['-1', Number.POSITIVE_INFINITY],
  ])('[env-25] %s: %s attempts, as in the original', (text, attempts) => {
    expect(readRetrySettings({ WALE_RETRIES: text }).attempts).toBe(attempts);
  });

  it.each(['many', '1.5', '1e3', '99999999999'])('%s is refused', (text) => {
    expect(() => readRetrySettings({ WALE_RETRIES: text })).toThrow('WALE_RETRIES is not a whole number');
  });
});

describe('WALE_DEADLINE', () => {
  it("is in seconds; without it the command's own holds; 0 is none", () => {
    expect(readRetrySettings({}, true).deadlineMs).toBe(600_000);
    expect(readRetrySettings({}).deadlineMs).toBeUndefined();
    expect(readRetrySettings({ WALE_DEADLINE: '5' }, true).deadlineMs).toBe(5000);
    expect(readRetrySettings({ WALE_DEADLINE: '0' }, true).deadlineMs).toBeUndefined();
    expect(() => readRetrySettings({ WALE_DEADLINE: '5s' })).toThrow('WALE_DEADLINE');
  });
});
