/**
 * Members of a tar as the extraction understands them. Whatever a header may hold that a base backup never needs is
 * refused here, before anything touches the disk: an archive is data from elsewhere.
 */
import type { Header } from 'tar-stream';
import type { Head } from './head.ts';
import { MemberError, type MemberKind, shown } from './member-error.ts';
import { memberPath } from './member-path.ts';

export interface Member {
  readonly kind: MemberKind;
  /** Relative to the data directory, no trailing slash; '' is the data directory itself. A byte string. */
  readonly path: string;
  /** Bytes of content; 0 unless a file. */
  readonly size: number;
  /** Permission bits, 0 to 0o777: set-id and sticky bits are dropped. */
  readonly mode: number;
  /** Seconds since 1970, with fraction where the archive has one; 0 for what was earlier, or is no time. */
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

/**
 * `header` is what tar-stream made of the head; more is possible than its types say, since a header may hold anything.
 * Names in PAX records are taken from the head, which has their bytes.
 */
export function toMember(header: Header, { flag, pax }: Head): Member {
  const name = pax.get('path') ?? header.name;
  const kind = kindOf(flag, name, pax);
  const size = whole(name, 'size', header.size);
  if (size !== (paxNumber(name, pax, 'size') ?? size)) throw refused(name, 'its size is not a number');
  if (kind !== 'file' && size !== 0) throw refused(name, 'only a file can have content');
  return {
    kind,
    path: memberPath(name, kind),
    size,
    mode: whole(name, 'mode', header.mode) & 0o777,
    mtimeSeconds: modified(header, pax.get('mtime')),
    uid: idOf(name, paxNumber(name, pax, 'uid') ?? header.uid),
    gid: idOf(name, paxNumber(name, pax, 'gid') ?? header.gid),
    userName: pax.get('uname') ?? header.uname,
    groupName: pax.get('gname') ?? header.gname,
    linkTarget: kind === 'symlink' ? linkTarget(name, pax.get('linkpath') ?? header.linkname ?? '') : '',
  };
}

function kindOf(flag: string, name: string, pax: ReadonlyMap<string, string>): MemberKind {
  if ([...pax.keys()].some((key) => key.startsWith('GNU.sparse'))) throw refused(name, 'it is a sparse file');
  // Old tars mark a directory only by a trailing slash.
  if (flag === '0' && name.endsWith('/')) return 'directory';
  const kind = KINDS[flag];
  if (kind !== undefined) return kind;
  throw refused(name, `it is ${REFUSED[flag] ?? 'of a kind that no base backup holds'}`);
}

function paxNumber(name: string, pax: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = pax.get(key);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw refused(name, `its ${key} is not a number`);
  return Number(text);
}

function whole(name: string, what: string, value: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max)
    throw refused(name, `its ${what} is out of range`);
  return value;
}

function idOf(name: string, id: number): number {
  return whole(name, 'owner', id, MAX_ID);
}

function modified({ mtime }: Header, pax: string | undefined): number {
  const isPlain = pax !== undefined && /^-?\d{1,12}(\.\d+)?$/.test(pax);
  const seconds = isPlain ? Number(pax) : mtime.getTime() / 1000;
  return seconds >= 0 && seconds < 2 ** 40 ? seconds : 0;
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
