import { copyRun } from './copy';
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
import { PLAIN, TABLE, TABLE_BITS, TABLE_BYTES } from './memory';

const SHORTEST_MATCH: usize = 4;
/** Runs of literals up to here are part of the match in front of them. */
const SHORTEST_RUNS: usize = 3;
const SHORT_RUN: usize = 16;
/** Distances below 2^9 are tried again. Farther ones are not: the table mostly knows a nearer match, and it is the longer one. */
const NEAR_BITS: usize = 9;
/** Every 32 literals without a match, the search takes one byte more at a step ... */
const SKIP_SHIFT: usize = 5;
/** ... but never more than this, or what follows incompressible data would be missed. Less than SLACK. */
const LARGEST_STEP: usize = 129;
/** Of less nothing is worth the table: the search begins behind four bytes, and a match has four. */
const SHORTEST_BLOCK: usize = 16;
/** The four bytes that were looked up and the eight behind them. */
const COMPARED: usize = SHORTEST_MATCH + 8;
const ALL_EQUAL: i32 = 0xffff;

/**
 * Compresses `length` bytes at PLAIN to PACKED_BYTES at `packed` and returns the compressed length, or 0 when they would not
 * become fewer. The result depends on nothing but these bytes, although some behind them are looked at.
 */
export function compress(length: usize, packed: usize): usize {
  const end = PLAIN + length;
  let literals = PLAIN;
  let out = packed;
  begin = packed;
  if (length < SHORTEST_BLOCK) return finish(out, literals, end);
  if (PLAIN <= M4_DISTANCE) ERROR('an empty slot of the table would be a match');
  memory.fill(TABLE, 0, TABLE_BYTES);
  const limit = end - SHORTEST_MATCH;
  // The first run is a kind of its own: being longer than SHORTEST_RUNS it needs no test in their way.
  let here = PLAIN + SHORTEST_RUNS + 1;
  let distance: usize = 1;
  while (true) {
    let match = here + 1 - distance;
    let difference: u64 = 0;
    const again = load<u32>(here, 1);
    // One test: two would be two branches to predict.
    if (((again ^ load<u32>(match)) | (distance >> NEAR_BITS)) == 0) {
      // Only one byte differed, as in rows and records of one kind: as far away as before, it takes neither table nor search.
      here++;
      store<u32>(slotOf(again), here);
      difference = load<u64>(here, SHORTEST_MATCH) ^ load<u64>(match, SHORTEST_MATCH);
    } else {
      let word = load<u32>(here);
      let slot = slotOf(word);
      let step: usize = 1;
      // As far as the step is right: farther on it is a larger one, or the block ends.
      let bound = min(literals + (1 << SKIP_SHIFT) - 1, limit);
      while (true) {
        match = load<u32>(slot);
        store<u32>(slot, here);
        const next = here + step;
        const nextWord = load<u32>(next);
        const nextSlot = slotOf(nextWord);
        if (load<u32>(match) == word) {
          // Loading here keeps the optimiser from making both tests in every step.
          difference = load<u64>(here, SHORTEST_MATCH) ^ load<u64>(match, SHORTEST_MATCH);
          if (here - match <= M4_DISTANCE) break;
        }
        if (next > bound) {
          if (next > limit) return finish(out, literals, end);
          step = min(1 + ((next - literals) >> SKIP_SHIFT), LARGEST_STEP);
          bound = min(literals + (step << SKIP_SHIFT) - 1, limit);
        }
        here = next;
        word = nextWord;
        slot = nextSlot;
      }
    }
    const stop = matchEnd(here, match, difference, end);
    // A branch, not `min`: on the way to the next position that would cost each match.
    if (stop >= limit) return finishMatch(out, literals, here, match, min(stop, end), end);
    const run = here - literals;
    if (run <= SHORTEST_RUNS) {
      // Most runs: no branch for any of their lengths.
      store<u8>(out - 2, load<u8>(out - 2) | <u32>run);
      store<u32>(out, load<u32>(literals));
      out += run;
    } else if (run <= SHORT_RUN && out != packed) {
      store<u8>(out, <u32>run - 3);
      v128.store(out + 1, v128.load(literals));
      out += run + 1;
    } else {
      out = putLongRun(out, literals, here, match);
      here -= earlier;
      match -= earlier;
    }
    distance = here - match;
    out = putMatch(out, stop - here, distance);
    here = stop;
    literals = here;
  }
}

/** A match that reaches the end, or nearly. */
function finishMatch(out: usize, literals: usize, here: usize, match: usize, stop: usize, end: usize): usize {
  out = putLongRun(out, literals, here, match);
  return finish(putMatch(out, stop - here + earlier, here - match), stop, end);
}

function finish(out: usize, literals: usize, end: usize): usize {
  const length = end - PLAIN;
  // Nobody wants a copy of what does not compress.
  if (out - begin + (end - literals) >= length) return 0;
  out = putLiterals(out, literals, end - literals);
  store<u32>(out, END_MARKER);
  const size = out + END_BYTES - begin;
  return size < length ? size : 0;
}

// @ts-ignore: decorator
@inline
function slotOf(word: u32): usize {
  return TABLE + <usize>(((word * 0x9e3779b1) >> (32 - TABLE_BITS)) << 2);
}

/** First address where the bytes differ from those at `match`, `end` or a few bytes more; `difference`: of 8 behind the first 4. */
// @ts-ignore: decorator
@inline
function matchEnd(here: usize, match: usize, difference: u64, end: usize): usize {
  // Most matches are short; SIMD pays for the others only.
  if (difference != 0) return here + SHORTEST_MATCH + <usize>(ctz(difference) >> 3);
  while (here < end) {
    const equal = i8x16.bitmask(i8x16.eq(v128.load(here, COMPARED), v128.load(match, COMPARED)));
    if (equal != ALL_EQUAL) return here + COMPARED + <usize>ctz(~equal);
    here += 16;
    match += 16;
  }
  return end;
}

/** Where the block's compressed data begins. */
let begin: usize = 0;
/** By how much the last run of `putLongRun` is shorter than it was. */
let earlier: usize = 0;

/**
 * The literals up to `here`, where a match has been found. Within a long run the search took large steps and has found it
 * late: bytes in front of it that are equal too belong to the match. Together and apart, so that V8 compiles the rest sooner.
 */
function putLongRun(out: usize, literals: usize, here: usize, match: usize): usize {
  const first = here - min(here - literals, match - PLAIN);
  let start = here;
  while (start > first && load<u8>(start - 1) == load<u8>(match - 1)) {
    start--;
    match--;
  }
  earlier = here - start;
  return putLiterals(out, literals, start - literals);
}

function putLiterals(out: usize, from: usize, length: usize): usize {
  if (length == 0) return out;
  if (out == begin && length <= FIRST_RUN_LENGTH) {
    store<u8>(out++, FIRST_RUN_BASE + <u32>length);
  } else if (length <= SHORTEST_RUNS) {
    store<u8>(out - 2, load<u8>(out - 2) | <u32>length);
  } else if (length <= LITERAL_LENGTH) {
    store<u8>(out++, <u32>length - 3);
  } else {
    store<u8>(out++, 0);
    out = putLength(out, length - LITERAL_LENGTH);
  }
  copyRun(out, from, length);
  return out + length;
}

/** Which of M2 and M3 it is cannot be predicted: both are computed, one is stored. */
// @ts-ignore: decorator
@inline
function putMatch(out: usize, length: usize, distance: usize): usize {
  // Signs instead of comparisons: a third of the instructions.
  if (i32((M3_LENGTH - length) | (M3_DISTANCE - distance)) < 0) return putLongMatch(out, length, distance);
  const size = <u32>length;
  const away = <u32>distance - 1;
  const isM2 = u32((length - M2_LENGTH - 1) & (distance - M2_DISTANCE - 1)) >> 31;
  // ((size - 1) << 5) | ((away & 7) << 2) | ((away >> 3) << 8), and M3_MARKER | (size - 2) | (away << 10)
  const m2 = (size << 5) - 32 + (away << 2) + (away >> 3) * 224;
  const m3 = size + (M3_MARKER - 2) + (away << 10);
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
