/** Names of members -> paths under the data directory. No name gets out of it, and none is guessed at or repaired. */
import { MemberError, type MemberKind, shown } from './member-error.ts';

const MAX_PATH_BYTES = 4000;
const MAX_NAME_BYTES = 255;

/**
 * Accepts `base/1/1259`, `./base`, `base/`; for a directory also `/`, `.`, `./` and '', all of which mean the data
 * directory (the original names it `/`). Byte strings in and out.
 */
export function memberPath(name: string, kind: MemberKind): string {
  const relative = kind === 'directory' ? name.replace(/\/+$/, '') : name;
  if (kind === 'directory' && (relative === '' || relative === '.')) return '';
  const path = relative.replace(/^(\.\/)+/, '');
  const reason = flaw(path);
  if (reason !== undefined) {
    throw new MemberError('refusing a member of the base backup', {
      detail: `The member ${shown(name)}: ${reason}.`,
      hint: 'A base backup never holds such a name: this archive was damaged or made to do harm.',
    });
  }
  return path;
}

function flaw(path: string): string | undefined {
  if (path === '') return 'it has no name';
  if (path.startsWith('/')) return 'its name is an absolute path';
  if (path.includes('\0')) return 'its name holds a NUL byte';
  const parts = path.split('/');
  if (parts.includes('..')) return 'its name leads out of the data directory';
  if (parts.includes('') || parts.includes('.')) return 'its name is not in its plain form';
  if (path.length > MAX_PATH_BYTES) return 'its name is too long';
  if (parts.some((part) => part.length > MAX_NAME_BYTES)) return 'its name is too long';
  return undefined;
}
