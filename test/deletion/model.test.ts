import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { checkCases } from './cases.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it('[del-12] delete keeps what is needed and leaves nothing that may go, on archives made at random', async () => {
  expect(await checkCases(1, 200)).toBeLessThan(50);
});
