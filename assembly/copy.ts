/**
 * Copies in wide steps, which may overrun their target by up to 31 bytes: every buffer is followed by SLACK. Without calls
 * (`memory.copy` is one), around which V8 would keep all that its caller works on in memory instead of registers.
 */

/** Copies from another buffer; at least one byte. */
// @ts-ignore: decorator
@inline
export function copyLiterals(to: usize, from: usize, length: usize): void {
  const stop = to + length;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < stop);
}

/** As `copyLiterals`, from where a call does not hurt: for long runs it is quicker. */
// @ts-ignore: decorator
@inline
export function copyRun(to: usize, from: usize, length: usize): void {
  if (length > 256) memory.copy(to, from, length);
  else copyLiterals(to, from, length);
}

/** Repeats what lies `distance` before `out` up to `stop`; closer than its length it is a repeating pattern. */
// @ts-ignore: decorator
@inline
export function copyMatch(out: usize, distance: usize, stop: usize): void {
  let from = out - distance;
  if (distance < 16) {
    if (distance == 1) {
      const byte = i8x16.splat(load<u8>(from));
      do {
        v128.store(out, byte);
        out += 16;
      } while (out < stop);
      return;
    }
    // A pattern copied behind itself is a pattern of twice the period: soon steps of 16 do not overlap any more.
    do {
      v128.store(out, v128.load(from));
      out += out - from;
    } while (out - from < 16);
  }
  while (out < stop) {
    v128.store(out, v128.load(from));
    out += 16;
    from += 16;
  }
}
