import { END_BYTES, END_MARKER, FIRST_RUN_BASE, LITERAL_LENGTH, M2_DISTANCE, M3_DISTANCE } from './instruction';
import { PACKED, PLAIN } from './memory';

/** Why `decompress` gave up; `src/codec/block.ts` has the words. */
const INPUT_ENDS: i32 = -1;
const TOO_MUCH: i32 = -2;
const TOO_FAR: i32 = -3;
const TOO_LITTLE: i32 = -4;
const INPUT_LEFT: i32 = -5;

/** Which literals came before an instruction decides what its first byte means: 0, 1 to 3, or 4 and more. */
const AFTER_RUN: u32 = 4;

/** Where in the compressed block the last `decompress` gave up. */
export let faultOffset: usize = 0;

/**
 * Decompresses `packedLength` bytes at PACKED to PLAIN, where exactly `plainLength` bytes must come out. Returns 0, or
 * a negative fault. Reads at most a few bytes of slack behind the input, writes at most SLACK behind the output,
 * whatever the input is; output beyond `plainLength` is a fault before it is written.
 */
export function decompress(packedLength: usize, plainLength: usize): i32 {
  const inEnd = PACKED + packedLength;
  const outEnd = PLAIN + plainLength;
  let at = PACKED;
  let out = PLAIN;
  let state: u32 = 0;
  if (load<u8>(at) > FIRST_RUN_BASE) {
    const length = <usize>(load<u8>(at) - FIRST_RUN_BASE);
    at++;
    if (at + length > inEnd) return fault(INPUT_ENDS, at);
    if (out + length > outEnd) return fault(TOO_MUCH, at);
    memory.copy(out, at, length);
    at += length;
    out += length;
    state = min(<u32>length, AFTER_RUN);
  }
  while (true) {
    // No instruction can start within the last END_BYTES of a block but the one that ends it.
    if (at + END_BYTES > inEnd) return fault(INPUT_ENDS, at);
    const start = at;
    const code = <u32>load<u8>(at);
    let length: usize;
    let distance: usize;
    if (code >= 64) {
      length = (code >> 5) + 1;
      distance = 1 + ((code >> 2) & 7) + (<usize>load<u8>(at, 1) << 3);
      state = code & 3;
      at += 2;
    } else if (code >= 16) {
      at++;
      const mask: usize = code >= 32 ? 31 : 7;
      length = code & mask;
      if (length == 0) {
        length = mask;
        while (load<u8>(at) == 0) {
          length += 255;
          if (++at >= inEnd) return fault(INPUT_ENDS, at);
        }
        length += load<u8>(at++);
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
    } else if (state == 0) {
      at++;
      length = code;
      if (length == 0) {
        length = LITERAL_LENGTH - 3;
        while (load<u8>(at) == 0) {
          length += 255;
          if (++at >= inEnd) return fault(INPUT_ENDS, at);
        }
        length += load<u8>(at++);
      }
      length += 3;
      if (at + length > inEnd) return fault(INPUT_ENDS, start);
      if (out + length > outEnd) return fault(TOO_MUCH, start);
      copyApart(out, at, length);
      at += length;
      out += length;
      state = AFTER_RUN;
      continue;
    } else {
      distance = 1 + (code >> 2) + (<usize>load<u8>(at, 1) << 2);
      length = 2;
      if (state == AFTER_RUN) {
        distance += M2_DISTANCE;
        length = 3;
      }
      state = code & 3;
      at += 2;
    }
    if (distance > out - PLAIN) return fault(TOO_FAR, start);
    if (out + length + state > outEnd) return fault(TOO_MUCH, start);
    out = copyMatch(out, distance, length);
    store<u32>(out, load<u32>(at));
    out += state;
    at += state;
  }
}

function fault(kind: i32, address: usize): i32 {
  faultOffset = address - PACKED;
  return kind;
}

/** Copies between two buffers, in steps of 16 that may overrun. */
// @ts-ignore: decorator
@inline
function copyApart(to: usize, from: usize, length: usize): void {
  if (length > 256) {
    memory.copy(to, from, length);
    return;
  }
  const stop = to + length;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < stop);
}

/** Repeats `length` bytes from `distance` before `out` (closer than `length`: a repeating pattern); returns where they end. */
// @ts-ignore: decorator
@inline
function copyMatch(out: usize, distance: usize, length: usize): usize {
  const stop = out + length;
  let from = out - distance;
  if (distance < 8) {
    if (length >= 64) return repeatPattern(out, distance, length);
    // A pattern copied behind itself is a pattern of twice the period: soon steps of 8 do not overlap any more.
    while (out - from < 8) {
      store<u64>(out, load<u64>(from));
      out += out - from;
    }
  }
  if (out - from >= 16) {
    if (length > 512 && distance >= length) {
      memory.copy(out, from, length);
      return stop;
    }
    while (out < stop) {
      v128.store(out, v128.load(from));
      out += 16;
      from += 16;
    }
    return stop;
  }
  while (out < stop) {
    store<u64>(out, load<u64>(from));
    out += 8;
    from += 8;
  }
  return stop;
}

/** Long runs of one byte, or of a pattern of up to 7: doubles what is already there. */
function repeatPattern(out: usize, distance: usize, length: usize): usize {
  const stop = out + length;
  const from = out - distance;
  if (distance == 1) {
    memory.fill(out, load<u8>(from), length);
    return stop;
  }
  while (out < stop) {
    const step = min(out - from, stop - out);
    memory.copy(out, from, step);
    out += step;
  }
  return stop;
}
