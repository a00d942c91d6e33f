import { copyLiterals, copyMatch } from './copy';
import { END_BYTES, END_MARKER, FIRST_RUN_BASE, M2_DISTANCE, M3_DISTANCE, M3_MARKER } from './instruction';
import { PACKED, PLAIN } from './memory';

/** Why `decompress` gave up; `src/codec/block.ts` has the words. */
const INPUT_ENDS: i32 = -1;
const TOO_MUCH: i32 = -2;
const TOO_FAR: i32 = -3;
const TOO_LITTLE: i32 = -4;
const INPUT_LEFT: i32 = -5;

/** Which literals came before an instruction decides what its first byte means: 0, 1 to 3, or 4 and more. */
const AFTER_RUN: u32 = 4;

/** Their first bytes are 64 and up. */
const M2_CODES: u32 = 0xc0;

/** Distance of M3 and M4, with the literals behind them. */
const OPERAND_BYTES: usize = 2;

/** Where in the compressed block the last `decompress` gave up. */
export let faultOffset: usize = 0;

/**
 * Decompresses `packedLength` bytes at PACKED to PLAIN, where exactly `plainLength` bytes must come out. Returns 0, or
 * a negative fault. Reads at most a few bytes of slack behind the input, writes at most SLACK behind the output,
 * whatever the input is, and what lies in the slack never matters.
 */
export function decompress(packedLength: usize, plainLength: usize): i32 {
  const inEnd = PACKED + packedLength;
  const outEnd = PLAIN + plainLength;
  let at = PACKED;
  let out = PLAIN;
  let state: u32 = 0;
  if (packedLength < END_BYTES) return fault(INPUT_ENDS, at);
  const first = load<u8>(at);
  if (first > FIRST_RUN_BASE) {
    const length = <usize>(first - FIRST_RUN_BASE);
    at++;
    if (at + length > inEnd) return fault(INPUT_ENDS, at);
    if (out + length > outEnd) return fault(TOO_MUCH, at);
    copyLiterals(out, at, length);
    at += length;
    out += length;
    state = min(<u32>length, AFTER_RUN);
  }
  while (true) {
    // No instruction can start within the last END_BYTES of a block but the one that ends it.
    if (at + END_BYTES > inEnd) return fault(INPUT_ENDS, at);
    const start = at;
    const word = load<u32>(at);
    const code = word & 0xff;
    let length: usize;
    let distance: usize;
    if (code > M3_MARKER) {
      // M2 or a short M3: which of them cannot be predicted, so both are computed and one is taken.
      const isM2 = code & M2_CODES;
      const operand = (word >> 8) & 0xffff;
      length = select<usize>((code >> 5) + 1, (code & 31) + 2, isM2);
      distance = select<usize>(1 + ((code >> 2) & 7) + ((operand & 0xff) << 3), (operand >> 2) + 1, isM2);
      state = select<u32>(code, operand, isM2) & 3;
      at = select<usize>(at + 2, at + 3, isM2);
    } else if (code < 16 && state != 0) {
      distance = 1 + (code >> 2) + (<usize>load<u8>(at, 1) << 2);
      length = 2;
      if (state == AFTER_RUN) {
        distance += M2_DISTANCE;
        length = 3;
      }
      state = code & 3;
      at += 2;
    } else {
      at++;
      const mask: usize = code >= 32 ? 31 : code >= 16 ? 7 : 15;
      length = <usize>code & mask;
      if (length == 0) {
        length = mask;
        while (load<u8>(at) == 0) {
          length += 255;
          if (++at >= inEnd) return fault(INPUT_ENDS, at);
        }
        length += load<u8>(at++);
        if (at + OPERAND_BYTES > inEnd) return fault(INPUT_ENDS, at);
      }
      if (code < 16) {
        length += 3;
        if (at + length > inEnd) return fault(INPUT_ENDS, start);
        if (out + length > outEnd) return fault(TOO_MUCH, start);
        copyLiterals(out, at, length);
        at += length;
        out += length;
        state = AFTER_RUN;
        continue;
      }
      length += 2;
      const operand = <u32>load<u16>(at);
      at += 2;
      state = operand & 3;
      distance = operand >> 2;
      if (code >= 32) {
        distance += 1;
      } else {
        distance += M3_DISTANCE + ((code & 8) << 11);
        if (distance == M3_DISTANCE) {
          if (code != END_MARKER || operand != 0) return fault(TOO_FAR, start);
          if (out != outEnd) return fault(TOO_LITTLE, start);
          return at == inEnd ? 0 : fault(INPUT_LEFT, at);
        }
      }
    }
    if (distance > out - PLAIN) return fault(TOO_FAR, start);
    const stop = out + length;
    if (stop + state > outEnd) return fault(TOO_MUCH, start);
    copyMatch(out, distance, stop);
    store<u32>(stop, load<u32>(at));
    out = stop + state;
    at += state;
  }
}

function fault(kind: i32, address: usize): i32 {
  faultOffset = address - PACKED;
  return kind;
}
