/** Compression: a file that the real lzop made must be read, and a round trip must give the same bytes. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { decodeLzop } from '../codec/decoder.ts';
import { encodeLzop } from '../codec/encoder.ts';
import { UserError } from '../errors.ts';
import { type Finding, failed, failure, ok } from './finding.ts';

const NAME = 'lzop';
const REMEDY =
  'Do not archive with this installation: its files are damaged, or the machine is. Install the package again.';

/** `printf 'wal-e %.0s' {1..100} | lzop -c`, lzop 1.04. */
const MADE_BY_LZOP =
  'iUxaTwANChoKEEAgoAlAAQUDAAANAAAAAGsBU0sAAAAAACcuAnoAAAJYAAAAH5zqxBkDd2FsLWUgIAAAJRQAC2Ugd2FsLWUgd2FsLWUgEQAAAAAAAA==';
const SAMPLE_TEXT = 'wal-e '.repeat(100);

export async function probeCodec(signal: AbortSignal): Promise<Finding> {
  try {
    signal.throwIfAborted();
    const sample = await buffer(decodeLzop(one(Buffer.from(MADE_BY_LZOP, 'base64'))));
    if (sample.toString() !== SAMPLE_TEXT)
      return failed(NAME, 'a file made by lzop gave other bytes', REMEDY);
    const plain = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000), Buffer.from(SAMPLE_TEXT)]);
    const encoded = encodeLzop(one(plain), { mode: 0, mtimeSeconds: 0 });
    if (!(await buffer(decodeLzop(encoded))).equals(plain))
      return failed(NAME, 'a round trip gave other bytes', REMEDY);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) return failure(NAME, error, REMEDY);
    // Of WebAssembly or of the file system: files of the installation are damaged or gone, which is what is asked here.
    return failed(NAME, error instanceof Error ? error.message : String(error), REMEDY);
  }
  return ok(NAME, 'a file made by lzop was read, and a round trip gave the same bytes');
}

async function* one(chunk: Uint8Array) {
  yield chunk;
}
