/** What is said of members that are refused. */
import { DataError } from '../errors.ts';

export type MemberKind = 'file' | 'directory' | 'symlink';

/** A member that must not, or cannot safely, be extracted. Fetching the part again would not help. */
export class MemberError extends DataError {}

/** For messages: control characters made visible, never longer than a line. */
export function shown(name: string): string {
  const text = JSON.stringify(name);
  return text.length > 200 ? `${text.slice(0, 200)}…"` : text;
}
