/**
 * Members of a tar as the extraction understands them. Whatever a header may hold that a base backup never needs is
 * refused here, before anything touches the disk: an archive is data from elsewhere.
 */
import { MemberError, type MemberKind, shown } from './member-error.ts';
import { memberPath } from './member-path.ts';

export interface Member {
  readonly kind: MemberKind;
  /** Relative to the data directory, no trailing slash; '' is the data directory itself. */
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
  /** Where a symlink leads; '' otherwise. */
  readonly linkTarget: string;
}

/** What tar-stream's decoder yields; more is possible than its types say, since a header may hold anything. */
export interface TarHeader {
  readonly name: string;
  readonly type: string | null;
  readonly size: number;
  readonly mode: number;
  readonly mtime: Date;
  readonly uid: number;
  readonly gid: number;
  readonly uname: string;
  readonly gname: string;
  readonly linkname: string | null;
  readonly pax?: unknown;
}

const MAX_ID = 0xffff_fffe;
const KINDS: Readonly<Record<string, string>> = {
  link: 'a hard link',
  'character-device': 'a device',
  'block-device': 'a device',
  fifo: 'a named pipe',
};

export function toMember(header: TarHeader): Member {
  const pax = paxRecords(header);
  const kind = kindOf(header);
  const size = header.size;
  if (!Number.isSafeInteger(size) || size < 0) throw refused(header, 'its size is not a number of bytes');
  if (kind !== 'file' && size !== 0) throw refused(header, 'only a file can have content');
  return {
    kind,
    path: memberPath(header.name, kind),
    size,
    mode: whole(header, 'mode', header.mode, 0o7777777) & 0o777,
    mtimeSeconds: modified(header, pax.get('mtime')),
    uid: whole(header, 'owner', numeric(pax.get('uid')) ?? header.uid, MAX_ID),
    gid: whole(header, 'group', numeric(pax.get('gid')) ?? header.gid, MAX_ID),
    userName: pax.get('uname') ?? header.uname,
    groupName: pax.get('gname') ?? header.gname,
    linkTarget: kind === 'symlink' ? linkTarget(header) : '',
  };
}

function kindOf(header: TarHeader): MemberKind {
  // Old tars mark a directory only by a trailing slash; the original names the data directory "/".
  if (header.type === 'file' && header.name.endsWith('/')) return 'directory';
  if (header.type === 'file' || header.type === 'directory' || header.type === 'symlink') return header.type;
  throw refused(header, `it is ${KINDS[header.type ?? ''] ?? 'of a kind that no base backup holds'}`);
}

function paxRecords(header: TarHeader): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  if (typeof header.pax !== 'object' || header.pax === null) return records;
  for (const [key, value] of Object.entries(header.pax)) {
    if (key.startsWith('GNU.sparse')) throw refused(header, 'it is a sparse file');
    if (key === 'size' && numeric(value) === undefined)
      throw refused(header, 'its size is not a number of bytes');
    records.set(key, String(value));
  }
  return records;
}

function numeric(text: unknown): number | undefined {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function whole(header: TarHeader, what: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max)
    throw refused(header, `its ${what} is out of range`);
  return value;
}

function modified(header: TarHeader, pax: string | undefined): number {
  const seconds =
    pax !== undefined && /^-?\d{1,12}(\.\d+)?$/.test(pax) ? Number(pax) : header.mtime.getTime() / 1000;
  return Number.isFinite(seconds) && Math.abs(seconds) < 2 ** 40 ? seconds : 0;
}

function linkTarget(header: TarHeader): string {
  const target = header.linkname ?? '';
  if (target === '' || target.includes('\0') || Buffer.byteLength(target) > 4095)
    throw refused(header, 'it is a symbolic link that leads nowhere');
  return target;
}

function refused(header: TarHeader, reason: string): MemberError {
  return new MemberError('refusing a member of the base backup', {
    detail: `The member ${shown(header.name)}: ${reason}.`,
  });
}
