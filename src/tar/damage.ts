/** What is said of a tar that is not one, or is not whole. */
import { DataError } from '../errors.ts';

/** Fetching the part again may help. */
export function damaged(reason: string): DataError {
  return new DataError('a part of the base backup is not a whole tar', { detail: `In it, ${reason}.` });
}
