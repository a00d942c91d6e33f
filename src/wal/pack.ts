/** One WAL file as an lzop file: at once into a buffer when it is small, else block by block. */
import { LzopEncoder } from '../codec/encoder.ts';
import { OpenWalFile, type WalFile } from './wal-file.ts';

/** Up to here a file is compressed in memory, so that it is put with a known length and can be put again. */
export const MAX_PACKED_AT_ONCE = 32 * 1024 * 1024;

const BLOCK_BYTES = 256 * 1024;
const NANOSECONDS = 1_000_000_000n;

/** The most that a file of `size` bytes can grow to: a header, 12 bytes for each block, the end marker. */
export function packedBound(size: number): number {
  return size + 12 * Math.ceil(size / BLOCK_BYTES) + 64;
}

/** Compresses the file into `target`, which has room for `packedBound(file.size)`; returns the length. */
export function packInto(file: WalFile, target: Uint8Array): number {
  let length = 0;
  for (const piece of packedPieces(file)) {
    target.set(piece, length);
    length += piece.length;
  }
  return length;
}

/** The same in a buffer of its own. */
export function packWalFile(file: WalFile): Uint8Array {
  const target = Buffer.allocUnsafeSlow(packedBound(file.size));
  return target.subarray(0, packInto(file, target));
}

/** The same piece by piece. A file that changed meanwhile is an error before the last piece, the end marker. */
export async function* packStream(file: WalFile): AsyncGenerator<Uint8Array> {
  for (const piece of packedPieces(file)) yield Buffer.from(piece);
}

/** Each piece is valid until the next one is asked for, or until another use of the codec. */
function* packedPieces(file: WalFile): Generator<Uint8Array> {
  const open = new OpenWalFile(file);
  try {
    const mtimeSeconds = Number(file.mtimeNs / NANOSECONDS);
    const encoder = new LzopEncoder({ mode: file.mode, mtimeSeconds });
    yield encoder.header();
    for (;;) {
      const input = encoder.input();
      const length = open.read(input);
      if (length > 0) yield encoder.blockView(input.subarray(0, length));
      if (length < input.length) break;
    }
    open.checkUnchanged();
    yield encoder.end();
  } finally {
    open.close();
  }
}
