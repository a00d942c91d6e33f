/** Copies in wide steps, which may overrun their target by up to 15 bytes: every buffer is followed by SLACK. */

/** Copies between two buffers. */
// @ts-ignore: decorator
@inline
export function copyApart(to: usize, from: usize, length: usize): void {
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
export function copyMatch(out: usize, distance: usize, length: usize): usize {
  const stop = out + length;
  if (distance >= 16) {
    let from = out - distance;
    v128.store(out, v128.load(from));
    if (length <= 16) return stop;
    if (length > 512 && distance >= length) {
      memory.copy(out, from, length);
      return stop;
    }
    do {
      out += 16;
      from += 16;
      v128.store(out, v128.load(from));
    } while (out + 16 < stop);
    return stop;
  }
  return copyPattern(out, distance, length);
}

/** A match that overlaps itself, or nearly. */
function copyPattern(out: usize, distance: usize, length: usize): usize {
  if (distance < 8 && length >= 64) return repeatPattern(out, distance, length);
  const stop = out + length;
  let source = out - distance;
  // A pattern copied behind itself is a pattern of twice the period: soon steps of 8 do not overlap any more.
  while (out - source < 8) {
    store<u64>(out, load<u64>(source));
    out += out - source;
  }
  while (out < stop) {
    store<u64>(out, load<u64>(source));
    out += 8;
    source += 8;
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
