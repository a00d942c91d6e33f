/** How long each of the addresses that a name has is tried. */
import { getDefaultAutoSelectFamilyAttemptTimeout, setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

const LONGEST_MS = 4000;

const USUAL_MS = getDefaultAutoSelectFamilyAttemptTimeout();

/**
 * To be told of every failure. Node gives each address but the last a quarter or half of a second, and then gives up the
 * attempt. Where connecting takes longer and the last address leads nowhere, as where there is no IPv6, none would ever
 * be reached.
 */
export function heedFailure(error: Error): void {
  if (!(error instanceof AggregateError)) return;
  const now = getDefaultAutoSelectFamilyAttemptTimeout();
  setDefaultAutoSelectFamilyAttemptTimeout(Math.max(now, Math.min(4 * now, LONGEST_MS)));
}

/** With that much for each, a few that do not answer would take all the time there is, and those behind them have none. */
export function heedLateness(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(USUAL_MS);
}
