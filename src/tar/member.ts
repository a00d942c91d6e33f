/**
 * Members of a tar as the extraction understands them. Whatever a header may hold that a base backup never needs is
 * refused here, before anything touches the disk: an archive is data from elsewhere.
 */
import { MemberError, type MemberKind, shown } from './member-error.ts';
import { memberPath } from './member-path.ts';
import type { RawHeader } from './read-header.ts';

export interface Member {
  readonly kind: MemberKind;
  /** Relative to the data directory, no trailing slash; '' is the data directory itself. A byte string. */
  readonly path: string;
  /** Bytes of content; 0 unless a file. */
  readonly size: number;
  /** Permission bits, 0 to 0o777: set-id and sticky bits are dropped. */
  readonly mode: number;
  /** Seconds since 1970, with fraction where the archive has one. */
  readonly mtimeSeconds: number;
  readonly uid: number;
  readonly gid: number;
  /** Empty when the archive names nobody. */
  readonly userName: string;
  readonly groupName: string;
  /** Where a symlink leads, a byte string; '' otherwise. */
  readonly linkTarget: string;
}

const MAX_ID = 0xffff_fffe;
const MAX_LINK_BYTES = 4095;
const KINDS: Readonly<Record<string, MemberKind>> = { '0': 'file', '2': 'symlink', '5': 'directory' };
const REFUSED: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a named pipe',
  S: 'a sparse file',
};

/** `pax`, `longName`, `longLink`: what the records before the header say; they win over it. */
export function toMember(
  header: RawHeader,
  pax: ReadonlyMap<string, string>,
  longName: string | undefined,
  longLink: string | undefined,
): Member {
  const name = pax.get('path') ?? longName ?? header.name;
  const kind = kindOf(header, name, pax);
  const size = paxNumber(name, pax, 'size') ?? header.size;
  if (kind !== 'file' && size !== 0) throw refused(name, 'only a file can have content');
  return {
    kind,
    path: memberPath(name, kind),
    size,
    mode: header.mode & 0o777,
    mtimeSeconds: modified(header, pax.get('mtime')),
    uid: idOf(name, paxNumber(name, pax, 'uid') ?? header.uid),
    gid: idOf(name, paxNumber(name, pax, 'gid') ?? header.gid),
    userName: pax.get('uname') ?? header.userName,
    groupName: pax.get('gname') ?? header.groupName,
    linkTarget:
      kind === 'symlink' ? linkTarget(name, pax.get('linkpath') ?? longLink ?? header.linkName) : '',
  };
}

function kindOf({ type }: RawHeader, name: string, pax: ReadonlyMap<string, string>): MemberKind {
  if ([...pax.keys()].some((key) => key.startsWith('GNU.sparse'))) throw refused(name, 'it is a sparse file');
  // Old tars mark a directory only by a trailing slash.
  if (type === '0' && name.endsWith('/')) return 'directory';
  const kind = KINDS[type];
  if (kind !== undefined) return kind;
  throw refused(name, `it is ${REFUSED[type] ?? 'of a kind that no base backup holds'}`);
}

function paxNumber(name: string, pax: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = pax.get(key);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw refused(name, `its ${key} is not a number`);
  return Number(text);
}

function idOf(name: string, id: number): number {
  if (id > MAX_ID) throw refused(name, 'its owner is out of range');
  return id;
}

function modified({ mtime }: RawHeader, pax: string | undefined): number {
  const isPlain = pax !== undefined && /^-?\d{1,12}(\.\d+)?$/.test(pax);
  const seconds = isPlain ? Number(pax) : mtime;
  return Math.abs(seconds) < 2 ** 40 ? seconds : 0;
}

function linkTarget(name: string, target: string): string {
  if (target === '' || target.includes('\0') || target.length > MAX_LINK_BYTES)
    throw refused(name, 'it is a symbolic link that leads nowhere');
  return target;
}

function refused(name: string, reason: string): MemberError {
  return new MemberError('refusing a member of the base backup', {
    detail: `The member ${shown(name)}: ${reason}.`,
  });
}
