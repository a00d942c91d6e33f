import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { checkCases } from '../deletion/cases.ts';

/** More, and others: WALE_DELETE_CASES, WALE_DELETE_SEED. */
const CASES = Number(process.env.WALE_DELETE_CASES ?? 1000);
const FIRST_SEED = Number(process.env.WALE_DELETE_SEED ?? 10_000);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it(`delete keeps what is needed and leaves nothing that may go, ${CASES} times`, {
  timeout: 3_600_000,
}, async () => {
  const refused = await checkCases(FIRST_SEED, CASES);
  console.info(`${CASES} archives from seed ${FIRST_SEED}; delete refused ${refused}`);
  expect(refused).toBeLessThan(CASES / 4);
});
