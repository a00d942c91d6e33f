/** The SDK's own notices. */
import { state } from '@aws-sdk/core/client';

/** Else it warns of the version of Node on standard error, which PostgreSQL writes to its log for every segment. */
export function silenceSdk(): void {
  state.warningEmitted = true;
}
