/** Where a user has files of his own. */
import { homedir } from 'node:os';

/**
 * Of the user who runs this. One whom the system does not know, as in a container that runs with any number, has no
 * home; Node throws then, and so would everything that looks for a file in it.
 */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}
