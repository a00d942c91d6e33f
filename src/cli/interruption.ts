/** Signals -> one AbortSignal for the whole command. The first one asks it to clean up, a second one ends it at once. */
import { UserError } from '../errors.ts';

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type Name = keyof typeof SIGNALS;

/** Cleaning up takes less where everything answers. */
const LATE_MS = 3000;

/** The exit status is a shell's for the signal; PostgreSQL takes 143 of a restore_command for its own shutdown. */
class InterruptedError extends UserError {
  override readonly name = 'InterruptedError';
  override readonly exitStatus: number;

  constructor(signal: Name) {
    super(`interrupted by ${signal}`, { hint: 'The command cleans up; a second signal ends it at once.' });
    this.exitStatus = 128 + SIGNALS[signal];
  }
}

export interface Reactions {
  /** After a second signal. */
  readonly endNow: (status: number) => void;
  /** Some time after the first: the operator must not wonder whether it was heard. */
  readonly stillThere: (interruption: UserError) => void;
}

/**
 * `ignored` is the mask that bin/wal-e.cjs found (SigIgn of /proc/self/status, hexadecimal): what the program was started
 * to ignore, as nohup does with SIGHUP, it ignores.
 */
export function watchSignals(ignored: string | undefined, { endNow, stillThere }: Reactions): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (isIgnored(ignored, SIGNALS[name])) return;
      const reason = new InterruptedError(name);
      if (controller.signal.aborted) return endNow(reason.exitStatus);
      controller.abort(reason);
      setTimeout(() => stillThere(reason), LATE_MS).unref();
    });
  }
  return controller.signal;
}

function isIgnored(mask: string | undefined, number: number): boolean {
  if (mask === undefined || !/^[0-9a-f]{1,16}$/.test(mask)) return false;
  return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n;
}
