/** What is said of members that are refused. */
import { textOf } from '../byte-string.ts';
import { DataError } from '../errors.ts';

export type MemberKind = 'file' | 'directory' | 'symlink';

/** A member that must not, or cannot safely, be extracted. Fetching the part again would not help. */
export class MemberError extends DataError {}

/** A byte string for messages: as UTF-8 if it is that, control characters made visible, never longer than a line. */
export function shown(name: string): string {
  const text = JSON.stringify(textOf(name));
  return text.length > 200 ? `${text.slice(0, 200)}…"` : text;
}
