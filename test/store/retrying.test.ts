import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import { createRetry } from '../../src/store/retrying.ts';

const signal = new AbortController().signal;
const transient = (text = 'the store is busy') =>
  new StoreError(text, { detail: 'It said so.', hint: 'Wait.', transient: true });

/** Fails so many times, then gives the number of calls. */
function failing(times: number, error: () => Error = transient) {
  let calls = 0;
  return async () => {
    calls += 1;
    if (calls <= times) throw error();
    return calls;
  };
}

describe('a transient failure is tried again', () => {
  it('until it works', async () => {
    const retry = createRetry({ attempts: 5, firstDelayMs: 1 });
    expect(await retry.run(failing(4), signal)).toBe(5);
  });

  it('until the attempts are used up, and the last failure is told', async () => {
    const retry = createRetry({ attempts: 3, firstDelayMs: 1 });
    const failure = retry.run(failing(3), signal);
    await expect(failure).rejects.toMatchObject({
      message: 'the store is busy',
      detail: 'It said so. It was tried 3 times.',
      hint: 'Wait.',
      transient: false,
      unavailable: true,
    });
  });

  it('that was seen elsewhere counts as so many attempts: it is told, waited after, and the rest is left', async () => {
    const told: number[] = [];
    const retry = createRetry({ attempts: 4, firstDelayMs: 1, onRetry: ({ number }) => told.push(number) });
    expect(await retry.run(failing(1), signal, { error: transient(), number: 2 })).toBe(2);
    expect(told).toEqual([2, 3]);
    const used = retry.run(failing(0), signal, { error: transient('elsewhere'), number: 4 });
    await expect(used).rejects.toMatchObject({ message: 'elsewhere', transient: false });
  });

  it('not at all with one attempt, and the failure is as it was', async () => {
    const error = transient();
    await expect(
      createRetry({ attempts: 1 }).run(
        failing(1, () => error),
        signal,
      ),
    ).rejects.toBe(error);
  });

  it('without limit when the attempts are infinite', async () => {
    const retry = createRetry({ attempts: Number.POSITIVE_INFINITY, firstDelayMs: 0 });
    expect(await retry.run(failing(500), signal)).toBe(501);
  });

  it('[env-24] after pauses that double up to a limit, half of each left to chance', async () => {
    for (const [chance, expected] of [
      [0, [50, 100, 200, 200]],
      [1, [100, 200, 400, 400]],
    ] as const) {
      const delays: number[] = [];
      const retry = createRetry({
        attempts: 5,
        firstDelayMs: 100,
        maxDelayMs: 400,
        random: () => chance,
        onRetry: ({ delayMs, number }) => {
          delays.push(delayMs);
          if (number === 4) controller.abort(new Error('enough'));
        },
      });
      const controller = new AbortController();
      await expect(retry.run(failing(9), controller.signal)).rejects.toThrow('enough');
      expect(delays).toEqual(expected);
    }
  });
});

describe('a store that names a time to come back', () => {
  const busyFor = (retryAfterMs: number) => () =>
    new StoreError('the store is busy', { transient: true, retryAfterMs });

  it.each([
    [2_000, 2_100],
    [300_000, 300_100],
    // A day without a word is no way to fail.
    [86_400_000, 300_100],
  ])('after %d ms is asked after %d ms, the usual pause added', async (asked, expected) => {
    const controller = new AbortController();
    const delays: number[] = [];
    const retry = createRetry({
      attempts: 2,
      firstDelayMs: 100,
      random: () => 1,
      onRetry: ({ delayMs }) => {
        delays.push(delayMs);
        controller.abort(new Error('enough'));
      },
    });
    await expect(retry.run(failing(1, busyFor(asked)), controller.signal)).rejects.toThrow('enough');
    expect(delays).toEqual([expected]);
  });

  it('is waited for, but not beyond the deadline', async () => {
    const started = performance.now();
    // Of its own it waits for 5 ms at least: a timer may be early by one.
    await createRetry({ attempts: 2, firstDelayMs: 10 }).run(failing(1, busyFor(400)), signal);
    expect(performance.now() - started).toBeGreaterThanOrEqual(400);
    const retry = createRetry({ attempts: 9, firstDelayMs: 1, deadlineMs: 300 });
    await expect(retry.run(failing(9, busyFor(60_000)), signal)).rejects.toMatchObject({
      message: 'the store did not do what was asked within the deadline of 0.3 s',
      detail: 'The last failure: the store is busy',
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('the signal of an attempt', () => {
  it('outlives it, for what is read afterwards, and ends at the deadline with an error that can be shown', async () => {
    const retry = createRetry({ attempts: 1, deadlineMs: 50 });
    const given = await retry.run(async (limited) => limited, signal);
    await new Promise((resolve) => given.addEventListener('abort', resolve));
    expect(given.reason).toBeInstanceOf(StoreError);
    expect(given.reason).toMatchObject({
      message: 'the store did not do what was asked within the deadline of 0.05 s',
      transient: false,
      unavailable: true,
    });
  });

  it('does not end at once by a deadline that is longer than a timer can be', async () => {
    const retry = createRetry({ attempts: 3, firstDelayMs: 20, deadlineMs: 999_999_999_000 });
    expect(await retry.run(failing(2), signal)).toBe(3);
  });
});

describe('anything else fails at once', () => {
  it.each([new StoreError('the store denies access', { transient: false }), new TypeError('a bug')])(
    '%s',
    async (error) => {
      let calls = 0;
      const work = async () => {
        calls += 1;
        throw error;
      };
      await expect(createRetry({ attempts: 9, firstDelayMs: 1 }).run(work, signal)).rejects.toBe(error);
      expect(calls).toBe(1);
    },
  );
});

describe('a stopped command', () => {
  it('tries nothing more, not even the first time', async () => {
    const stopped = AbortSignal.abort(new Error('stopped'));
    let calls = 0;
    const work = async () => {
      calls += 1;
    };
    await expect(createRetry({ attempts: 9 }).run(work, stopped)).rejects.toThrow('stopped');
    expect(calls).toBe(0);
  });

  it('does not wait for the pause to end', async () => {
    const controller = new AbortController();
    const retry = createRetry({
      attempts: 9,
      firstDelayMs: 60_000,
      maxDelayMs: 60_000,
      onRetry: () => setImmediate(() => controller.abort(new Error('stopped'))),
    });
    await expect(retry.run(failing(9), controller.signal)).rejects.toThrow('stopped');
  });

  it('rejects with its reason, whatever the work made of the signal', async () => {
    const controller = new AbortController();
    const work = (given: AbortSignal) =>
      new Promise((_, reject) => {
        given.addEventListener('abort', () => reject(transient('broke off')));
        controller.abort(new Error('stopped'));
      });
    await expect(createRetry({ attempts: 9 }).run(work, controller.signal)).rejects.toThrow('stopped');
  });
});

describe('the deadline', () => {
  it('ends an attempt that hangs, and counts for all operations together', async () => {
    const retry = createRetry({ attempts: 9, deadlineMs: 100 });
    const hanging = (given: AbortSignal) =>
      new Promise((_, reject) => given.addEventListener('abort', () => reject(given.reason)));
    await expect(retry.run(hanging, signal)).rejects.toMatchObject({
      message: 'the store did not do what was asked within the deadline of 0.1 s',
      hint: expect.stringContaining('WALE_DEADLINE'),
    });
    let calls = 0;
    const next = async () => {
      calls += 1;
    };
    await expect(retry.run(next, signal)).rejects.toThrow('within the deadline');
    expect(calls).toBe(0);
  });

  it('ends a pause, and says what was seen last', async () => {
    const retry = createRetry({ attempts: 9, deadlineMs: 100, firstDelayMs: 60_000, maxDelayMs: 60_000 });
    await expect(retry.run(failing(9), signal)).rejects.toMatchObject({
      detail: 'The last failure: the store is busy: It said so.',
      hint: 'Wait.',
      transient: false,
    });
  });
});
