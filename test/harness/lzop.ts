/** Short ways to use the codec and Debian's lzop in tests. */
import { spawnSync } from 'node:child_process';
import { LzopDecoder } from '../../src/codec/decoder.ts';
import { LzopEncoder, type LzopHeader } from '../../src/codec/encoder.ts';
import { BLOCK_BYTES } from '../../src/codec/lzo1x.ts';

export const NO_FILE: LzopHeader = { mode: 0, mtimeSeconds: 0 };

/** Whether lzop is installed: tests against it are skipped without it. */
export const hasLzop = spawnSync('lzop', ['--version']).status === 0;

export function compress(plain: Uint8Array, header = NO_FILE): Buffer {
  const encoder = new LzopEncoder(header);
  const pieces = [encoder.header()];
  for (let at = 0; at < plain.length; at += BLOCK_BYTES) {
    pieces.push(encoder.block(plain.subarray(at, at + BLOCK_BYTES)));
  }
  pieces.push(encoder.end());
  return Buffer.concat(pieces);
}

/** `chunkBytes`: how much of the file arrives at a time. */
export function decompress(packed: Uint8Array, chunkBytes = Number.POSITIVE_INFINITY): Buffer {
  const decoder = new LzopDecoder();
  const pieces: Uint8Array[] = [];
  const step = Math.min(chunkBytes, packed.length || 1);
  for (let at = 0; at < packed.length; at += step) {
    for (const plain of decoder.push(packed.subarray(at, at + step))) pieces.push(plain);
  }
  decoder.end();
  return Buffer.concat(pieces);
}

/** Runs lzop as a filter; throws with its message when it fails. */
export function lzop(args: readonly string[], input: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync('lzop', args, { input, maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`lzop exited ${status}: ${stderr.toString()}`);
  return stdout;
}
