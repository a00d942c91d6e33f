/** A way to the store that loses, stalls and spoils requests at random; what happens is decided by the seed. */
import type { Fault, Plan } from './fault-proxy.ts';

/** `share` of all requests meets something. */
export function randomFaults(random: () => number, share: number): Plan {
  return () => {
    if (random() > share) return undefined;
    const faults: Fault[] = [
      { kind: 'reset-before' },
      { kind: 'reset-after', bytes: Math.floor(random() * 300_000) },
      { kind: 'close-after', bytes: Math.floor(random() * 300_000) },
      { kind: 'answer', status: 503, code: 'SlowDown' },
      { kind: 'answer', status: 500 },
      { kind: 'alter-up', at: Math.floor(random() * 100_000) },
      { kind: 'truncate-up', bytes: Math.floor(random() * 100_000) },
      { kind: 'duplicate' },
      { kind: 'late', ms: 300 },
      { kind: 'trickle', bytes: 65_536, everyMs: 1 },
    ];
    return faults[Math.floor(random() * faults.length)];
  };
}
