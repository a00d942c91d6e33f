/** Signals -> one AbortSignal for the whole command. The first one asks it to clean up, a second one ends it at once. */
import { UserError } from '../errors.ts';

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type Name = keyof typeof SIGNALS;

/** The exit status is a shell's for the signal; PostgreSQL takes 143 of a restore_command for its own shutdown. */
export class InterruptedError extends UserError {
  override readonly name = 'InterruptedError';
  override readonly exitStatus: number;

  constructor(signal: Name) {
    super(`interrupted by ${signal}`, { hint: 'The command cleans up; a second signal ends it at once.' });
    this.exitStatus = 128 + SIGNALS[signal];
  }
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** The command's own time limit uses the same controller. */
  abort(reason: UserError): void;
}

/** `ignoreHangup`: the command was started under nohup (Node itself forgets that: see bin/wal-e.cjs). */
export function watchSignals(ignoreHangup: boolean, endNow: (status: number) => never): Interruption {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (name === 'SIGHUP' && ignoreHangup) return;
      const reason = new InterruptedError(name);
      if (controller.signal.aborted) endNow(reason.exitStatus);
      controller.abort(reason);
    });
  }
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}
