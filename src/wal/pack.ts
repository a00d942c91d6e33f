/** One WAL file as an lzop file, in slabs of memory that are used again. */
import { type EncoderSlabs, LzopEncoder } from '../codec/encoder.ts';
import { OpenWalFile, type WalFile } from './wal-file.ts';

/** Up to here a file is compressed in memory, so that it is put with a known length and can be put again. */
export const MAX_PACKED_AT_ONCE = 32 * 1024 * 1024;

/** Fresh memory costs a page fault for every 4 KiB, so there is as little of it as keeps a disk at work. */
export const SLAB_BYTES = 512 * 1024;
const NANOSECONDS = 1_000_000_000n;

/**
 * The file, compressed into the slabs that `take` gives (each larger than a block), all but the last of them full. One
 * is in use beside the one that is yielded. A file that changed meanwhile is an error before the last slab.
 */
export function* packInto(file: WalFile, take: () => Uint8Array): Generator<Uint8Array> {
  let slab = take();
  let length = 0;
  for (const piece of packedPieces(file)) {
    const room = slab.length - length;
    if (piece.length <= room) {
      slab.set(piece, length);
      length += piece.length;
      continue;
    }
    slab.set(piece.subarray(0, room), length);
    const full = slab;
    slab = take();
    length = piece.length - room;
    // All of the piece is copied before somebody else may use the codec.
    slab.set(piece.subarray(room));
    yield full;
  }
  yield slab.subarray(0, length);
}

/** The same without a copy; a piece is valid until the next but one is asked for. */
export function* packInPlace(file: WalFile, slabs: EncoderSlabs): Generator<Uint8Array> {
  const encoder = encoderOf(file);
  slabs.add(encoder.header());
  for (const block of plainBlocks(file, encoder)) {
    slabs.addBlock(block);
    if (slabs.isFull) yield slabs.next();
  }
  slabs.add(encoder.end());
  yield slabs.next();
}

/** The same all at once, in memory of its own. */
export function packWalFile(file: WalFile): readonly Uint8Array[] {
  return [...packInto(file, newSlab)];
}

/** The same for a reader that keeps the pieces. */
export async function* packStream(file: WalFile): AsyncGenerator<Uint8Array> {
  yield* packInto(file, newSlab);
}

export function newSlab(): Uint8Array {
  return Buffer.allocUnsafeSlow(SLAB_BYTES);
}

/** Each piece is valid until the next one is asked for, or until another use of the codec. */
function* packedPieces(file: WalFile): Generator<Uint8Array> {
  const encoder = encoderOf(file);
  yield encoder.header();
  for (const block of plainBlocks(file, encoder)) yield encoder.blockView(block);
  yield encoder.end();
}

/** In the codec's own memory, each until the next one is asked for. Throws DataError at the end when the file has changed. */
function* plainBlocks(file: WalFile, encoder: LzopEncoder): Generator<Uint8Array> {
  const open = new OpenWalFile(file);
  try {
    for (;;) {
      const input = encoder.input();
      const length = open.read(input);
      if (length > 0) yield input.subarray(0, length);
      if (length < input.length) break;
    }
    open.checkUnchanged();
  } finally {
    open.close();
  }
}

function encoderOf({ mode, mtimeNs }: WalFile): LzopEncoder {
  return new LzopEncoder({ mode, mtimeSeconds: Number(mtimeNs / NANOSECONDS) });
}
