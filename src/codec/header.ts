/** The head of an lzop file, from magic number to checksum. */
import { adler32, crc32 } from './checksum.ts';
import { damaged, unsupported } from './damage.ts';
import {
  FLAG,
  LAST_METHOD,
  LEVEL,
  LIBRARY_VERSION,
  LZOP_VERSION,
  MAGIC,
  METHOD,
  VERSION_NEEDED,
} from './format.ts';

export interface LzopHeader {
  /** `st_mode` of the file; 0 when there is none (the original feeds tar through a pipe). */
  readonly mode: number;
  /** Whole seconds since 1970. */
  readonly mtimeSeconds: number;
}

/** What the head says about how the blocks behind it are to be read. */
export interface BlockFormat {
  /** The checksums among these `FLAG`s stand in front of each block. */
  readonly flags: number;
  /** Each byte was stored as its difference to the one this many before it (`lzop --filter`); 0: as it is. */
  readonly filter: number;
}

/** Magic number, three versions, method, level, flags, mode, two halves of the time, length of the name, checksum. */
const LEAST_BYTES = 38;
const METHOD_AT = 15;
const FLAGS_AT = 17;
const CHECKSUM_BYTES = 4;

/** By a DataView: the first call of each of Buffer's methods costs a tenth of a millisecond. */
export function writeHeader({ mode, mtimeSeconds }: LzopHeader): Uint8Array {
  const bytes = new Uint8Array(LEAST_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint16(9, LZOP_VERSION);
  view.setUint16(11, LIBRARY_VERSION);
  view.setUint16(13, VERSION_NEEDED);
  view.setUint8(METHOD_AT, METHOD);
  view.setUint8(METHOD_AT + 1, LEVEL);
  view.setUint32(FLAGS_AT, FLAG.plainAdler32 | FLAG.fromStdin | FLAG.toStdout | FLAG.unix);
  view.setUint32(21, mode);
  view.setUint32(25, mtimeSeconds);
  view.setUint32(29, Math.floor(mtimeSeconds / 2 ** 32));
  const checksumAt = LEAST_BYTES - CHECKSUM_BYTES;
  view.setUint32(checksumAt, adler32(bytes.subarray(MAGIC.length, checksumAt)));
  return bytes;
}

/** How long the head is, as far as its first `bytes` tell: it is complete when they are at least as many. */
export function headerLength(bytes: Buffer): number {
  const wrong = MAGIC.findIndex((byte, index) => index < bytes.length && bytes[index] !== byte);
  if (wrong >= 0) throw damaged('this is not an lzop file: wrong magic number', wrong);
  if (bytes.length < LEAST_BYTES) return LEAST_BYTES;
  const flags = bytes.readUInt32BE(FLAGS_AT);
  checkForm(bytes, flags);
  const filter = flags & FLAG.filter ? 4 : 0;
  const nameLength = bytes.readUInt8(LEAST_BYTES - CHECKSUM_BYTES - 1 + filter);
  return LEAST_BYTES + filter + nameLength;
}

/** Reads a complete head. */
export function readHeader(bytes: Buffer): BlockFormat {
  const flags = bytes.readUInt32BE(FLAGS_AT);
  const checksumAt = bytes.length - CHECKSUM_BYTES;
  const covered = bytes.subarray(MAGIC.length, checksumAt);
  const checksum = flags & FLAG.headerCrc32 ? crc32(covered) : adler32(covered);
  if (bytes.readUInt32BE(checksumAt) !== checksum) throw damaged('wrong checksum of the header', checksumAt);
  const filter = flags & FLAG.filter ? bytes.readUInt32BE(FLAGS_AT + 4) : 0;
  if (filter > 16) throw unsupported(`filter ${filter}`, FLAGS_AT + 4);
  return { flags, filter };
}

function checkForm(bytes: Buffer, flags: number): void {
  const version = bytes.readUInt16BE(9);
  if (version < VERSION_NEEDED) throw unsupported(`made by lzop version 0x${version.toString(16)}`, 9);
  const needed = bytes.readUInt16BE(13);
  if (needed > LZOP_VERSION) throw unsupported(`needs lzop version 0x${needed.toString(16)}`, 13);
  const method = bytes.readUInt8(METHOD_AT);
  if (method === 0 || method > LAST_METHOD) throw unsupported(`method ${method}`, METHOD_AT);
  if (flags & FLAG.extraField) throw unsupported('a header with an extra field', FLAGS_AT);
  if (flags & FLAG.multipart) throw unsupported('an archive of several parts', FLAGS_AT);
  if (flags & FLAG.reserved) throw unsupported(`flags 0x${flags.toString(16)}`, FLAGS_AT);
}
