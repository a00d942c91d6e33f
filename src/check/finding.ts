/** What one line of `wal-e check` says. */
import { UserError } from '../errors.ts';

export interface Finding {
  /** Short, stable, lower case: monitoring picks lines by it. */
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do about it; always there unless the state is ok. */
  readonly remedy?: string | undefined;
}

export function ok(name: string, message: string): Finding {
  return { name, state: 'ok', message };
}

export function warning(name: string, message: string, remedy: string): Finding {
  return { name, state: 'warning', message, remedy };
}

export function failed(name: string, message: string, remedy: string): Finding {
  return { name, state: 'failed', message, remedy };
}

/** An expected error as a finding; any other is a bug and goes on up. */
export function failure(name: string, error: unknown, remedy: string): Finding {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return failed(name, `no answer within ${ANSWER_MS / 1000} seconds`, remedy);
  if (!(error instanceof UserError)) throw error;
  const { message, detail, hint } = error;
  return failed(name, detail === undefined ? message : `${message}: ${detail}`, hint ?? remedy);
}

/** Nothing of a check waits longer than this for one answer. */
const ANSWER_MS = 30_000;

export function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
}
