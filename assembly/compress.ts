import { copyApart } from './copy';
import {
  END_BYTES,
  END_MARKER,
  FIRST_RUN_BASE,
  FIRST_RUN_LENGTH,
  LITERAL_LENGTH,
  M2_DISTANCE,
  M2_LENGTH,
  M3_DISTANCE,
  M3_LENGTH,
  M3_MARKER,
  M4_DISTANCE,
  M4_LENGTH,
  M4_MARKER,
} from './instruction';
import { PACKED, PLAIN, TABLE, TABLE_BITS, TABLE_BYTES } from './memory';

const SHORTEST_MATCH: usize = 4;
/** Runs of literals up to here are part of the match in front of them. */
const SHORTEST_RUNS: usize = 3;
const SHORT_RUN: usize = 16;
/** Every 32 literals without a match, the search takes one byte more at a step ... */
const SKIP_SHIFT: usize = 5;
/** ... but never more than this, or what follows incompressible data would be missed. Less than SLACK. */
const LARGEST_STEP: usize = 128;

/**
 * Compresses `length` bytes at PLAIN to PACKED and returns the compressed length. The result depends on nothing but
 * these bytes.
 */
export function compress(length: usize): usize {
  const end = PLAIN + length;
  let literals = PLAIN;
  let out = PACKED;
  if (length > 2 * SHORTEST_MATCH) {
    memory.fill(TABLE, 0, TABLE_BYTES);
    const limit = end - SHORTEST_MATCH;
    let here = PLAIN;
    let word = load<u32>(here);
    let slot = slotOf(word);
    while (true) {
      let match: usize;
      while (true) {
        match = load<u32>(slot);
        store<u32>(slot, here);
        const next = here + 1 + min((here - literals) >> SKIP_SHIFT, LARGEST_STEP);
        const nextWord = load<u32>(next);
        const nextSlot = slotOf(nextWord);
        if (load<u32>(match) == word && here - match <= M4_DISTANCE) break;
        if (next > limit) {
          here = 0;
          break;
        }
        here = next;
        word = nextWord;
        slot = nextSlot;
      }
      if (here == 0) break;
      const stop = matchEnd(here + SHORTEST_MATCH, match + SHORTEST_MATCH, end);
      const run = here - literals;
      if (run <= SHORTEST_RUNS && out != PACKED) {
        // Most runs: no branch for any of their lengths.
        store<u8>(out - 2, load<u8>(out - 2) | <u32>run);
        store<u32>(out, load<u32>(literals));
        out += run;
      } else {
        // Within a long run the search took large steps, and has found the match late.
        if (run > SHORT_RUN) {
          while (here > literals && match > PLAIN && load<u8>(here - 1) == load<u8>(match - 1)) {
            here--;
            match--;
          }
        }
        out = putLiterals(out, literals, here - literals);
      }
      out = putMatch(out, stop - here, here - match);
      here = stop;
      literals = here;
      if (here > limit) break;
      word = load<u32>(here);
      slot = slotOf(word);
    }
  }
  out = putLiterals(out, literals, end - literals);
  store<u32>(out, END_MARKER);
  return out + END_BYTES - PACKED;
}

// @ts-ignore: decorator
@inline
function slotOf(word: u32): usize {
  return TABLE + <usize>(((word * 0x9e3779b1) >> (32 - TABLE_BITS)) << 2);
}

/** First address at or behind `here` where the bytes differ from those at `match`, or `end`. */
// @ts-ignore: decorator
@inline
function matchEnd(here: usize, match: usize, end: usize): usize {
  // Most matches are short; SIMD pays for the others only.
  if (here + 8 <= end) {
    const difference = load<u64>(here) ^ load<u64>(match);
    if (difference != 0) return here + <usize>(ctz(difference) >> 3);
    here += 8;
    match += 8;
  }
  while (here + 16 <= end) {
    const differing = i8x16.bitmask(i8x16.ne(v128.load(here), v128.load(match)));
    if (differing != 0) return here + <usize>ctz(differing);
    here += 16;
    match += 16;
  }
  while (here < end && load<u8>(here) == load<u8>(match)) {
    here++;
    match++;
  }
  return here;
}

function putLiterals(out: usize, from: usize, length: usize): usize {
  if (length == 0) return out;
  if (out == PACKED && length <= FIRST_RUN_LENGTH) {
    store<u8>(out++, FIRST_RUN_BASE + <u32>length);
  } else if (length <= SHORTEST_RUNS) {
    store<u8>(out - 2, load<u8>(out - 2) | <u32>length);
  } else if (length <= LITERAL_LENGTH) {
    store<u8>(out++, <u32>length - 3);
  } else {
    store<u8>(out++, 0);
    out = putLength(out, length - LITERAL_LENGTH);
  }
  copyApart(out, from, length);
  return out + length;
}

/** Which of M2 and M3 it is cannot be predicted: both are computed, one is stored. */
// @ts-ignore: decorator
@inline
function putMatch(out: usize, length: usize, distance: usize): usize {
  if (length > M3_LENGTH || distance > M3_DISTANCE) return putLongMatch(out, length, distance);
  const size = <u32>length;
  const away = <u32>distance - 1;
  const isM2 = u32(length <= M2_LENGTH) & u32(distance <= M2_DISTANCE);
  const m2 = ((size - 1) << 5) | ((away & 7) << 2) | ((away >> 3) << 8);
  const m3 = M3_MARKER | (size - 2) | (away << 10);
  store<u32>(out, select<u32>(m2, m3, isM2));
  return out + 3 - isM2;
}

function putLongMatch(out: usize, length: usize, distance: usize): usize {
  if (distance <= M3_DISTANCE) {
    distance -= 1;
    store<u8>(out++, M3_MARKER);
    out = putLength(out, length - M3_LENGTH);
  } else {
    distance -= M3_DISTANCE;
    const marker = M4_MARKER | <u32>((distance & 0x4000) >> 11);
    if (length <= M4_LENGTH) {
      store<u8>(out++, marker | <u32>(length - 2));
    } else {
      store<u8>(out++, marker);
      out = putLength(out, length - M4_LENGTH);
    }
  }
  store<u16>(out, <u32>(distance << 2));
  return out + 2;
}

/** What of a length did not fit the first byte of an instruction: a zero byte for each 255, then the rest (1 to 255). */
function putLength(out: usize, rest: usize): usize {
  while (rest > 255) {
    store<u8>(out++, 0);
    rest -= 255;
  }
  store<u8>(out, <u32>rest);
  return out + 1;
}
