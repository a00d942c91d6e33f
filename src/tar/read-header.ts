/**
 * The 512 bytes of a tar header -> what they say, or a refusal. ustar and GNU (POSIX.1-2017 pax, "ustar Interchange
 * Format"; GNU tar manual, "Basic Tar Format"). Names are byte strings: one character is one byte, since a file's name
 * need not be UTF-8.
 */
import { DataError } from '../errors.ts';

export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** `0` a file, `5` a directory, `2` a symbolic link, `x` and `g` PAX records, `L` and `K` GNU long names, ... */
  readonly type: string;
  readonly linkName: string;
  readonly userName: string;
  readonly groupName: string;
}

export const RECORD_BYTES = 512;

const CHECKSUM_AT = 148;
const CHECKSUM_BYTES = 8;

/** undefined for a block of zeros, which ends a tar. */
export function readHeader(block: Uint8Array): RawHeader | undefined {
  const sum = checksum(block);
  const bytes = Buffer.from(block.buffer, block.byteOffset, RECORD_BYTES);
  if (sum === CHECKSUM_BYTES * 32 && bytes.every((byte) => byte === 0)) return undefined;
  if (number(bytes, CHECKSUM_AT, CHECKSUM_BYTES, 'checksum') !== sum)
    throw damaged('the checksum of a header is wrong');
  const magic = bytes.toString('latin1', 257, 265);
  if (magic !== 'ustar\x0000' && magic !== 'ustar  \0') throw damaged('a header is of an unknown format');
  const prefix = magic === 'ustar\x0000' ? text(bytes, 345, 155) : '';
  const name = text(bytes, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(bytes, 100, 8, 'mode'),
    uid: number(bytes, 108, 8, 'owner'),
    gid: number(bytes, 116, 8, 'group'),
    size: number(bytes, 124, 12, 'size'),
    mtime: number(bytes, 136, 12, 'time'),
    type: bytes[156] === 0 ? '0' : String.fromCharCode(bytes[156] ?? 0),
    linkName: text(bytes, 157, 100),
    userName: text(bytes, 265, 32),
    groupName: text(bytes, 297, 32),
  };
}

export function damaged(reason: string): DataError {
  return new DataError('a part of the base backup is not a whole tar', { detail: `In it, ${reason}.` });
}

/** The sum of all bytes, the checksum's own counted as blanks. */
function checksum(block: Uint8Array): number {
  let sum = CHECKSUM_BYTES * 32;
  for (let at = 0; at < CHECKSUM_AT; at += 1) sum += block[at] ?? 0;
  for (let at = CHECKSUM_AT + CHECKSUM_BYTES; at < RECORD_BYTES; at += 1) sum += block[at] ?? 0;
  return sum;
}

function text(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('latin1', at, end === -1 || end > at + length ? at + length : end);
}

/** Octal digits among blanks and NULs, or GNU's binary form for what is larger. */
function number(bytes: Buffer, at: number, length: number, what: string): number {
  if (bytes[at] === 0x80) return binary(bytes, at + 1, length - 1, what);
  const digits = text(bytes, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw damaged(`the ${what} in a header is not a number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function binary(bytes: Buffer, at: number, length: number, what: string): number {
  const value = BigInt(`0x${bytes.toString('hex', at, at + length)}`);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`the ${what} in a header is out of range`);
  return Number(value);
}
