/**
 * Adler-32 (RFC 1950), 32 bytes at a time. The bytes of each column are summed; what a column weighs within a row is
 * multiplied once for many rows, and what a row weighs is the sum of all sums up to it.
 */
const MODULUS: u32 = 65521;
/** The most steps of 32 bytes after which sums of bytes still fit the signed 16 bits of a lane. */
const STEPS: usize = 64;

/** Adler-32 of `length` bytes at `address`. */
export function adler32(address: usize, length: usize): u32 {
  let low: u32 = 1;
  let high: u32 = 0;
  while (length >= 32) {
    const steps = min(length >> 5, STEPS);
    const stop = address + (steps << 5);
    let first = i16x8.splat(0);
    let second = i16x8.splat(0);
    let third = i16x8.splat(0);
    let fourth = i16x8.splat(0);
    let sums = i16x8.splat(0);
    let earlier = i32x4.splat(0);
    high += low * <u32>(steps << 5);
    for (; address < stop; address += 32) {
      const left = v128.load(address);
      const right = v128.load(address, 16);
      earlier = i32x4.add(earlier, i32x4.extadd_pairwise_i16x8_u(sums));
      first = i16x8.add(first, i16x8.extend_low_i8x16_u(left));
      second = i16x8.add(second, i16x8.extend_high_i8x16_u(left));
      third = i16x8.add(third, i16x8.extend_low_i8x16_u(right));
      fourth = i16x8.add(fourth, i16x8.extend_high_i8x16_u(right));
      sums = i16x8.add(i16x8.add(first, second), i16x8.add(third, fourth));
    }
    const weighted = i32x4.add(
      i32x4.add(
        i32x4.dot_i16x8_s(first, i16x8(32, 31, 30, 29, 28, 27, 26, 25)),
        i32x4.dot_i16x8_s(second, i16x8(24, 23, 22, 21, 20, 19, 18, 17)),
      ),
      i32x4.add(
        i32x4.dot_i16x8_s(third, i16x8(16, 15, 14, 13, 12, 11, 10, 9)),
        i32x4.dot_i16x8_s(fourth, i16x8(8, 7, 6, 5, 4, 3, 2, 1)),
      ),
    );
    low = (low + total(i32x4.extadd_pairwise_i16x8_u(sums))) % MODULUS;
    high = (high + (total(earlier) << 5) + total(weighted)) % MODULUS;
    length -= steps << 5;
  }
  for (const stop = address + length; address < stop; address++) {
    low += load<u8>(address);
    high += low;
  }
  return ((high % MODULUS) << 16) | (low % MODULUS);
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
