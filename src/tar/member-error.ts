/** What is said of members that are refused. */
import { DataError } from '../errors.ts';

export type MemberKind = 'file' | 'directory' | 'symlink';

/** A member that must not, or cannot safely, be extracted. Fetching the part again would not help. */
export class MemberError extends DataError {}

/** A byte string for messages: as UTF-8 if it is that, control characters made visible, never longer than a line. */
export function shown(name: string): string {
  const text = JSON.stringify(fromBytes(name));
  return text.length > 200 ? `${text.slice(0, 200)}…"` : text;
}

/** A byte string (one character is one byte) as text. */
function fromBytes(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** Text as a byte string. */
export function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
