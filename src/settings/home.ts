/** Where a user has files of his own. */
import { homedir } from 'node:os';

/**
 * Of the user who runs this. A user whom the system does not know, as in a container that runs under an arbitrary number,
 * has no home; Node throws then, and so would everything that looks for a file in it.
 */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}
