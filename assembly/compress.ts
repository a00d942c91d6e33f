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
/** Every so many literals without a match, the search takes one byte more at a step ... */
const SKIP_SHIFT: usize = 5;
/** ... but never more than this, or what follows incompressible data would be missed. */
const LARGEST_STEP: usize = 32;

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
        if (here - match <= M4_DISTANCE && load<u32>(match) == word) break;
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
      while (here > literals && match > PLAIN && load<u8>(here - 1) == load<u8>(match - 1)) {
        here--;
        match--;
      }
      out = putLiterals(out, literals, here - literals);
      out = putMatch(out, stop - here, here - match);
      here = stop;
      literals = here;
      if (here > limit) break;
      store<u32>(slotOf(load<u32>(here - 2)), here - 2);
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
  while (here < end) {
    const difference = load<u64>(here) ^ load<u64>(match);
    if (difference != 0) return min(here + <usize>(ctz(difference) >> 3), end);
    here += 8;
    match += 8;
  }
  return end;
}

// @ts-ignore: decorator
@inline
function putLiterals(out: usize, from: usize, length: usize): usize {
  if (length == 0) return out;
  if (out == PACKED && length <= FIRST_RUN_LENGTH) {
    store<u8>(out++, FIRST_RUN_BASE + <u32>length);
  } else if (length <= 3) {
    store<u8>(out - 2, load<u8>(out - 2) | <u32>length);
    store<u32>(out, load<u32>(from));
    return out + length;
  } else if (length <= LITERAL_LENGTH) {
    store<u8>(out++, <u32>length - 3);
  } else {
    store<u8>(out++, 0);
    out = putLength(out, length - LITERAL_LENGTH);
  }
  if (length > 128) {
    memory.copy(out, from, length);
  } else {
    let done: usize = 0;
    do {
      v128.store(out + done, v128.load(from + done));
      done += 16;
    } while (done < length);
  }
  return out + length;
}

// @ts-ignore: decorator
@inline
function putMatch(out: usize, length: usize, distance: usize): usize {
  if (length <= M2_LENGTH && distance <= M2_DISTANCE) {
    distance -= 1;
    store<u16>(out, <u32>((((length - 1) << 5) | ((distance & 7) << 2)) | ((distance >> 3) << 8)));
    return out + 2;
  }
  if (distance <= M3_DISTANCE) {
    distance -= 1;
    if (length <= M3_LENGTH) {
      store<u8>(out++, M3_MARKER | <u32>(length - 2));
    } else {
      store<u8>(out++, M3_MARKER);
      out = putLength(out, length - M3_LENGTH);
    }
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
