/** How long each of the addresses that a name has is tried. */
import { getDefaultAutoSelectFamilyAttemptTimeout, setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

const LONGEST_MS = 4000;

/**
 * Node gives each of them but the last a quarter or half of a second, and gives up what is on its way then. Where the way takes
 * longer and the last one leads nowhere, as where there is no IPv6, none would ever be reached.
 */
export function tryLonger(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(
    Math.min(4 * getDefaultAutoSelectFamilyAttemptTimeout(), LONGEST_MS),
  );
}
