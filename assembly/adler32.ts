/**
 * Adler-32 (RFC 1950), 32 bytes at a time. The bytes of each column are summed; what a column weighs within a row is
 * multiplied once for many rows, and what a row weighs is the sum of all sums up to it.
 */
const MODULUS: u32 = 65521;
/** The most steps of 32 bytes after which the sum of two bytes of each still fits the signed 16 bits of a lane. */
const STEPS: usize = 64;
const FIRSTS: v128 = i16x8.splat(0xff);

/** Adler-32 of `length` bytes at `address`. */
export function adler32(address: usize, length: usize): u32 {
  let low: u32 = 1;
  let high: u32 = 0;
  while (length >= 32) {
    const steps = min(length >> 5, STEPS);
    const stop = address + (steps << 5);
    // Sums of pairs of bytes, and of each pair's first.
    let left = i16x8.splat(0);
    let right = i16x8.splat(0);
    let firsts = i16x8.splat(0);
    let earlier = i32x4.splat(0);
    high += low * <u32>(steps << 5);
    for (; address < stop; address += 32) {
      const one = v128.load(address);
      const other = v128.load(address, 16);
      earlier = i32x4.add(earlier, i32x4.add(halves(left), halves(right)));
      left = i16x8.add(left, i16x8.extadd_pairwise_i8x16_u(one));
      right = i16x8.add(right, i16x8.extadd_pairwise_i8x16_u(other));
      firsts = i16x8.add(firsts, i16x8.add(v128.and(one, FIRSTS), v128.and(other, FIRSTS)));
    }
    // A pair counts as its second byte does, its first byte once more.
    const weighted = i32x4.add(
      i32x4.add(
        i32x4.dot_i16x8_s(left, i16x8(31, 29, 27, 25, 23, 21, 19, 17)),
        i32x4.dot_i16x8_s(right, i16x8(15, 13, 11, 9, 7, 5, 3, 1)),
      ),
      halves(firsts),
    );
    low = (low + total(i32x4.add(halves(left), halves(right)))) % MODULUS;
    high = (high + (total(earlier) << 5) + total(weighted)) % MODULUS;
    length -= steps << 5;
  }
  for (const stop = address + length; address < stop; address++) {
    low += load<u8>(address);
    high += low;
  }
  return ((high % MODULUS) << 16) | (low % MODULUS);
}

/** Each two lanes added. */
// @ts-ignore: decorator
@inline
function halves(lanes: v128): v128 {
  return i32x4.dot_i16x8_s(lanes, i16x8.splat(1));
}

// @ts-ignore: decorator
@inline
function total(lanes: v128): u32 {
  return (
    i32x4.extract_lane(lanes, 0) +
    i32x4.extract_lane(lanes, 1) +
    i32x4.extract_lane(lanes, 2) +
    i32x4.extract_lane(lanes, 3)
  );
}
