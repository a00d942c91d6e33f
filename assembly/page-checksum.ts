/**
 * The checksum that PostgreSQL keeps in each data page (`storage/checksum_impl.h`): 32 interleaved sums of the page's
 * 32-bit words, multiplied and mixed much like FNV-1a, folded with the block number. Little-endian, as WebAssembly is.
 * Works on pages wherever they lie in a memory that it is given.
 */
const PRIME: u32 = 16777619;
const ROW: usize = 128;

const CHECKSUM: usize = 8;
const UPPER: usize = 14;

/**
 * Index of the first of the `count` pages at `address`, counted from page `from`, that is not as PostgreSQL accepts it:
 * its checksum is wrong, or it is new (nothing allocated in it) and not all zero. `count` if there is none.
 * `firstBlock`: the number of page 0 in its relation. The pages are unchanged afterwards.
 */
export function firstUnsound(address: usize, from: u32, count: u32, pageBytes: u32, firstBlock: u32): u32 {
  for (let index = from; index < count; index++) {
    const page = address + <usize>index * pageBytes;
    const sound =
      load<u16>(page, UPPER) == 0
        ? isZero(page, pageBytes)
        : checksum(page, pageBytes, firstBlock + index) == load<u16>(page, CHECKSUM);
    if (!sound) return index;
  }
  return count;
}

function isZero(page: usize, length: usize): bool {
  for (const end = page + length; page < end; page += 16) {
    if (v128.any_true(v128.load(page))) return false;
  }
  return true;
}

/** Of a page whose own checksum field is taken as zero; 1 to 65535. */
function checksum(page: usize, length: usize, block: u32): u32 {
  const stored = load<u16>(page, CHECKSUM);
  store<u16>(page, 0, CHECKSUM);
  // The initial sums are random numbers that PostgreSQL fixed.
  let a = i32x4(0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a);
  let b = i32x4(0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c);
  let c = i32x4(0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa);
  let d = i32x4(0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb);
  let e = i32x4(0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de);
  let f = i32x4(0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4);
  let g = i32x4(0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e);
  let h = i32x4(0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756);
  for (let row = page, end = page + length; row < end; row += ROW) {
    a = mix(a, v128.load(row));
    b = mix(b, v128.load(row, 16));
    c = mix(c, v128.load(row, 32));
    d = mix(d, v128.load(row, 48));
    e = mix(e, v128.load(row, 64));
    f = mix(f, v128.load(row, 80));
    g = mix(g, v128.load(row, 96));
    h = mix(h, v128.load(row, 112));
  }
  store<u16>(page, stored, CHECKSUM);
  const folded = v128.xor(
    v128.xor(v128.xor(last(a), last(b)), v128.xor(last(c), last(d))),
    v128.xor(v128.xor(last(e), last(f)), v128.xor(last(g), last(h))),
  );
  const sum =
    i32x4.extract_lane(folded, 0) ^
    i32x4.extract_lane(folded, 1) ^
    i32x4.extract_lane(folded, 2) ^
    i32x4.extract_lane(folded, 3);
  return (((<u32>sum ^ block) % 65535) as u32) + 1;
}

// @ts-ignore: decorator
@inline
function mix(sums: v128, words: v128): v128 {
  const mixed = v128.xor(sums, words);
  return v128.xor(i32x4.mul(mixed, i32x4.splat(PRIME)), i32x4.shr_u(mixed, 17));
}

/** Two rounds of zeros end each sum. */
// @ts-ignore: decorator
@inline
function last(sums: v128): v128 {
  const zero = i32x4.splat(0);
  return mix(mix(sums, zero), zero);
}
