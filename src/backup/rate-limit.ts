/**
 * One limit for the reading of all worker threads together. The shared cell holds the moment from which on the next
 * byte may be read; whoever reads moves it on by what the bytes cost and sleeps until then. Time that nobody read in is
 * not made up for later, so that a pause never ends in a burst.
 */

export interface RateLimit {
  readonly bytesPerSecond: number;
  /** One 64-bit cell: nanoseconds of the monotonic clock, the same in all threads. */
  readonly cell: SharedArrayBuffer;
}

const SECOND = 1_000_000_000n;
const MILLISECOND = 1_000_000n;

export function createRateLimit(bytesPerSecond: number): RateLimit {
  return { bytesPerSecond, cell: new SharedArrayBuffer(8) };
}

/** Books `bytes` and gives how many milliseconds to wait before reading on. */
export function book(limit: RateLimit, bytes: number, now = process.hrtime.bigint()): number {
  const cell = new BigInt64Array(limit.cell);
  const cost = (BigInt(bytes) * SECOND) / BigInt(limit.bytesPerSecond);
  for (;;) {
    const booked = Atomics.load(cell, 0);
    const ahead = booked - now;
    const next = now + cost + (ahead > 0n ? ahead : 0n);
    if (Atomics.compareExchange(cell, 0, booked, next) === booked) return Number((next - now) / MILLISECOND);
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread; only for worker threads. */
export function pause(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(never, 0, 0, milliseconds);
}
