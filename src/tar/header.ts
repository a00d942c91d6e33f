/**
 * The bytes in front of a member in a tar file, as WAL-E writes them with Python's tarfile: for each member a PAX
 * header with its modification time to the fraction of a second (and whatever else ustar cannot hold), then a ustar
 * header. tar-stream's writer is a stream with its header encoder inside, and makes neither; a partition is made in one
 * synchronous loop.
 *
 * Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header Block".
 */
import { byteString, textOf } from '../byte-string.ts';

export interface TarMember {
  readonly kind: 'directory' | 'file';
  /** Relative, no slash at the end; empty for the root. Byte string. */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** User's and group's name; empty when not known. */
  readonly userName: string;
  readonly groupName: string;
  readonly mtimeMs: number;
  /** Bytes that follow the header; 0 for directories. */
  readonly size: number;
}

export const RECORD_BYTES = 512;
/** A tar file's length is a multiple of this. */
export const TAR_BLOCKING_BYTES = 20 * RECORD_BYTES;

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const OWNER_BYTES = 31;
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;
const PAX_NAME = '././@PaxHeader';
const NON_ASCII = /[\x80-\xff]/;

/** The headers, a multiple of 512 bytes. */
export function tarHeader(member: TarMember): Uint8Array {
  const name = memberName(member);
  const split = NON_ASCII.test(name) ? undefined : splitName(name);
  const records = paxRecords(member, split === undefined ? name : undefined);
  const paxBytes = paddedSize(records.length);
  const bytes = Buffer.alloc(2 * RECORD_BYTES + paxBytes);
  writeUstar(bytes, 0, { name: PAX_NAME, prefix: '', type: 'x', size: records.length });
  bytes.write(records, RECORD_BYTES, 'latin1');
  writeUstar(bytes, RECORD_BYTES + paxBytes, {
    ...(split ?? { name: asciiName(name), prefix: '' }),
    type: member.kind === 'directory' ? '5' : '0',
    size: member.size > MAX_OCTAL_11 ? 0 : member.size,
    mode: member.mode & 0o7777,
    uid: member.uid > MAX_OCTAL_7 ? 0 : member.uid,
    gid: member.gid > MAX_OCTAL_7 ? 0 : member.gid,
    mtime: Math.min(Math.max(Math.round(member.mtimeMs / 1000), 0), MAX_OCTAL_11),
    userName: member.userName,
    groupName: member.groupName,
  });
  return bytes;
}

/** Bytes from a member's end to where the next can start. */
export function paddingAfter(size: number): number {
  return paddedSize(size) - size;
}

function paddedSize(size: number): number {
  return Math.ceil(size / RECORD_BYTES) * RECORD_BYTES;
}

/** The original calls the root `/`, which is a trap for those who unpack by hand with -P; `./` is the same to all readers. */
function memberName({ kind, name }: TarMember): string {
  if (name === '') return './';
  return kind === 'directory' ? `${name}/` : name;
}

function splitName(name: string): { name: string; prefix: string } | undefined {
  if (name.length <= NAME_BYTES) return { name, prefix: '' };
  const slash = name.lastIndexOf('/', PREFIX_BYTES);
  const rest = name.length - slash - 1;
  if (slash <= 0 || rest > NAME_BYTES || rest === 0) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}

function asciiName(name: string): string {
  return name.replace(/[\x80-\xff]/g, '?').slice(0, NAME_BYTES);
}

function paxRecords(member: TarMember, path: string | undefined): string {
  let records = '';
  if (path !== undefined && !isUtf8(path)) records += paxRecord('hdrcharset', 'BINARY');
  if (path !== undefined) records += paxRecord('path', path);
  if (member.uid > MAX_OCTAL_7) records += paxRecord('uid', String(member.uid));
  if (member.gid > MAX_OCTAL_7) records += paxRecord('gid', String(member.gid));
  if (member.size > MAX_OCTAL_11) records += paxRecord('size', String(member.size));
  return records + paxRecord('mtime', pythonFloat(member.mtimeMs / 1000));
}

function isUtf8(name: string): boolean {
  return byteString(textOf(name)) === name;
}

function pythonFloat(seconds: number): string {
  return Number.isInteger(seconds) ? `${seconds}.0` : String(seconds);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}

interface Ustar {
  readonly name: string;
  readonly prefix: string;
  readonly type: '0' | '5' | 'x';
  readonly size: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly userName?: string;
  readonly groupName?: string;
}

function writeUstar(bytes: Buffer, at: number, header: Ustar): void {
  bytes.write(header.name, at, 'latin1');
  bytes.write(octal(header.mode ?? 0, 7), at + 100, 'latin1');
  bytes.write(octal(header.uid ?? 0, 7), at + 108, 'latin1');
  bytes.write(octal(header.gid ?? 0, 7), at + 116, 'latin1');
  bytes.write(octal(header.size, 11), at + 124, 'latin1');
  bytes.write(octal(header.mtime ?? 0, 11), at + 136, 'latin1');
  bytes.write('        ', at + 148, 'latin1');
  bytes.write(header.type, at + 156, 'latin1');
  bytes.write('ustar\x0000', at + 257, 'latin1');
  bytes.write((header.userName ?? '').slice(0, OWNER_BYTES), at + 265, 'latin1');
  bytes.write((header.groupName ?? '').slice(0, OWNER_BYTES), at + 297, 'latin1');
  bytes.write(header.prefix, at + 345, 'latin1');
  let sum = 0;
  for (let i = at; i < at + RECORD_BYTES; i += 1) sum += bytes[i] ?? 0;
  bytes.write(`${octal(sum, 6)}\0 `, at + 148, 'latin1');
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
