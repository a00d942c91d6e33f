/** The SDK's own notices, which PostgreSQL would write to its log for every segment. */
import { state } from '@aws-sdk/core/client';

/**
 * It warns of the version of Node by a warning of Node's, and of other things (no region for STS, settings that make no
 * sense to it) by the console, which nothing else here uses.
 */
export function silenceSdk(): void {
  state.warningEmitted = true;
  console.warn = () => undefined;
}
