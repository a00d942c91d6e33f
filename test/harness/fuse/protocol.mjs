// The wire format of /dev/fuse, protocol 7.31 (include/uapi/linux/fuse.h of Linux): requests in, answers out.

const OPERATIONS = {
  1: 'lookup',
  2: 'forget',
  3: 'getattr',
  4: 'setattr',
  5: 'readlink',
  6: 'symlink',
  9: 'mkdir',
  10: 'unlink',
  11: 'rmdir',
  12: 'rename',
  13: 'link',
  14: 'open',
  15: 'read',
  16: 'write',
  17: 'statfs',
  18: 'release',
  20: 'fsync',
  25: 'flush',
  26: 'init',
  27: 'opendir',
  28: 'readdir',
  29: 'releasedir',
  30: 'fsyncdir',
  35: 'create',
  36: 'interrupt',
  38: 'destroy',
  42: 'batch_forget',
  45: 'rename2',
};

export const MOST_WRITE_BYTES = 1024 * 1024;
const HEADER_BYTES = 40;
const ASYNC_READ = 1;
const BIG_WRITES = 1 << 5;
const PARALLEL_FOLDERS = 1 << 18;
const MAX_PAGES = 1 << 22;

/** A request: who asks what of which inode, and the operation's own bytes. */
export function readRequest(bytes) {
  return {
    operation: OPERATIONS[bytes.readUInt32LE(4)] ?? `operation ${bytes.readUInt32LE(4)}`,
    unique: bytes.readBigUInt64LE(8),
    node: Number(bytes.readBigUInt64LE(16)),
    uid: bytes.readUInt32LE(24),
    gid: bytes.readUInt32LE(28),
    body: bytes.subarray(HEADER_BYTES),
  };
}

/** The text from `start` up to the next zero byte. */
export function text(body, start) {
  return body.toString('utf8', start, body.indexOf(0, start));
}

/** `error`: number of the error, 0 for none. */
export function answer(unique, error, ...body) {
  const length = 16 + body.reduce((sum, piece) => sum + piece.length, 0);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(length, 0);
  header.writeInt32LE(-error, 4);
  header.writeBigUInt64LE(unique, 8);
  return Buffer.concat([header, ...body], length);
}

export function initBody() {
  const body = Buffer.alloc(64);
  for (const [index, value] of [7, 31, MOST_WRITE_BYTES].entries()) body.writeUInt32LE(value, index * 4);
  body.writeUInt32LE(ASYNC_READ | BIG_WRITES | PARALLEL_FOLDERS | MAX_PAGES, 12);
  body.writeUInt16LE(64, 16);
  body.writeUInt16LE(48, 18);
  body.writeUInt32LE(MOST_WRITE_BYTES, 20);
  body.writeUInt32LE(1, 24);
  body.writeUInt16LE(MOST_WRITE_BYTES / 4096, 28);
  return body;
}

/** `stat` with bigint values. Nothing is kept by the kernel: every look asks again. */
export function entryBody(node, stat) {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(node), 0);
  return Buffer.concat([body, attributes(stat)]);
}

export function attributesBody(stat) {
  return Buffer.concat([Buffer.alloc(16), attributes(stat)]);
}

function attributes(stat) {
  const body = Buffer.alloc(88);
  const seconds = (ns) => ns / 1_000_000_000n;
  for (const [index, value] of [
    stat.ino,
    stat.size,
    stat.blocks,
    seconds(stat.atimeNs),
    seconds(stat.mtimeNs),
    seconds(stat.ctimeNs),
  ].entries())
    body.writeBigInt64LE(BigInt.asIntN(64, value), index * 8);
  for (const [index, value] of [
    stat.atimeNs % 1_000_000_000n,
    stat.mtimeNs % 1_000_000_000n,
    stat.ctimeNs % 1_000_000_000n,
    stat.mode,
    stat.nlink,
    stat.uid,
    stat.gid,
    stat.rdev,
    stat.blksize,
  ].entries())
    body.writeUInt32LE(Number(BigInt.asUintN(32, value)), 48 + index * 4);
  return body;
}

export function openBody(handle) {
  const body = Buffer.alloc(16);
  body.writeBigUInt64LE(BigInt(handle), 0);
  return body;
}

export function sizeBody(bytes) {
  const body = Buffer.alloc(8);
  body.writeUInt32LE(bytes, 0);
  return body;
}

export function statfsBody(stat) {
  const body = Buffer.alloc(80);
  for (const [index, name] of ['blocks', 'bfree', 'bavail', 'files', 'ffree'].entries())
    body.writeBigUInt64LE(stat[name], index * 8);
  body.writeUInt32LE(Number(stat.bsize), 40);
  body.writeUInt32LE(255, 44);
  body.writeUInt32LE(Number(stat.bsize), 48);
  return body;
}

/** Entries `[name, inode, type]` from number `offset` on, as many as `size` bytes hold. */
export function folderBody(entries, offset, size) {
  const pieces = [];
  let length = 0;
  for (let index = offset; index < entries.length; index += 1) {
    const [name, inode, type] = entries[index];
    const bytes = Buffer.from(name);
    const piece = Buffer.alloc(Math.ceil((24 + bytes.length) / 8) * 8);
    if (length + piece.length > size) break;
    piece.writeBigUInt64LE(BigInt(inode), 0);
    piece.writeBigUInt64LE(BigInt(index + 1), 8);
    piece.writeUInt32LE(bytes.length, 16);
    piece.writeUInt32LE(type, 20);
    bytes.copy(piece, 24);
    pieces.push(piece);
    length += piece.length;
  }
  return Buffer.concat(pieces);
}
