/**
 * Asking again: one policy for every operation of a store. A StoreError that says it is transient is tried again after
 * a growing, randomised pause, longer if the store asks for it, until the attempts or the command's deadline are used
 * up; anything else fails at once, and so does everything once the command is stopped.
 */
import { StoreError } from '../errors.ts';

/** A failed attempt that will be followed by another. */
export interface Attempt {
  readonly error: StoreError;
  /** 1 for the first. */
  readonly number: number;
  readonly delayMs: number;
}

export interface RetryOptions {
  /** Attempts of one operation, the first included. */
  readonly attempts: number;
  /** Counted from the creation of the Retry, which is the start of the command. */
  readonly deadlineMs?: number | undefined;
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  readonly random?: () => number;
  readonly onRetry?: (attempt: Attempt) => void;
}

export interface Retry {
  /**
   * `work` gets a signal that also aborts at the deadline; it is called once for each attempt. `failed`: what failed
   * already and is to be taken up again, after the pause and with the attempts that are left.
   */
  run<T>(
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
    failed?: Pick<Attempt, 'error' | 'number'>,
  ): Promise<T>;
}

export function createRetry(options: RetryOptions): Retry {
  const deadline = createDeadline(options.deadlineMs);
  return {
    async run(work, signal, failed) {
      // A signal for each run, since Node warns of a signal that more than ten listen to.
      const either = AbortSignal.any(deadline === undefined ? [signal] : [signal, deadline.signal]);
      let last = failed?.error;
      for (let number = failed?.number ?? 0; ; number += 1) {
        if (last !== undefined) await pauseAfter(last, number, options, either);
        signal.throwIfAborted();
        if (deadline?.signal.aborted) throw deadline.failure(last);
        try {
          return await work(either);
        } catch (error) {
          signal.throwIfAborted();
          if (deadline?.signal.aborted) throw deadline.failure(seenIn(error, deadline) ?? last);
          if (!(error instanceof StoreError && error.transient)) throw error;
          last = error;
        }
      }
    },
  };
}

/** Rejects when attempt `number` was the last one. */
async function pauseAfter(
  last: StoreError,
  number: number,
  options: RetryOptions,
  signal: AbortSignal,
): Promise<void> {
  if (number >= options.attempts) throw exhausted(last, number);
  const delayMs = delayAfter(last, number, options);
  options.onRetry?.({ error: last, number, delayMs });
  await pause(delayMs, signal);
}

/** A store that wants to be left alone for longer is asked in between, where there is no deadline. */
const MOST_ASKED_MS = 300_000;

/**
 * Doubles from the first delay to the longest; half of it is chance, so that many clients do not return at once, nor at
 * the very moment that the store named.
 */
function delayAfter({ retryAfterMs = 0 }: StoreError, number: number, options: RetryOptions): number {
  const { firstDelayMs = 200, maxDelayMs = 20_000, random = Math.random } = options;
  const full = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(number - 1, 30));
  return Math.min(retryAfterMs, MOST_ASKED_MS) + full * (0.5 + random() / 2);
}

/** Resolves early when the signal aborts: the loop looks at the signals itself. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

function exhausted(last: StoreError, attempts: number): StoreError {
  if (attempts === 1) return last;
  return new StoreError(last.message, {
    detail: `${last.detail ?? ''} It was tried ${attempts} times.`.trimStart(),
    hint: last.hint,
    transient: false,
    unavailable: true,
    cause: last,
  });
}

/** Node's timers take no more, and fire at once instead: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Deadline {
  /** Its reason is an error that can be shown, for what goes on after an attempt: the body of an object. */
  readonly signal: AbortSignal;
  failure(last: StoreError | undefined): StoreError;
}

function createDeadline(ms: number | undefined): Deadline | undefined {
  if (ms === undefined) return undefined;
  const failure: Deadline['failure'] = (last) =>
    new StoreError(`the store did not do what was asked within the deadline of ${ms / 1000} s`, {
      detail:
        last === undefined
          ? 'It was still at work on the last request.'
          : `The last failure: ${[last.message, last.detail].filter(Boolean).join(': ')}`,
      hint: last?.hint ?? 'WALE_DEADLINE sets the seconds that a command may take.',
      transient: false,
      unavailable: true,
      full: last?.full,
      cause: last,
    });
  const controller = new AbortController();
  setTimeout(() => controller.abort(failure(undefined)), Math.min(ms, LONGEST_TIMER_MS)).unref();
  return { signal: controller.signal, failure };
}

/** What an attempt failed with, unless that was the deadline itself. */
function seenIn(error: unknown, { signal }: Deadline): StoreError | undefined {
  return error instanceof StoreError && error !== signal.reason ? error : undefined;
}
