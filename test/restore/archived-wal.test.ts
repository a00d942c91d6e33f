import { expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { segmentName } from '../../src/postgres/segment.ts';
import { readWal } from '../../src/restore/archived-wal.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { segmentHead } from '../harness/segment.ts';

const MB = 1024 * 1024;
const call = { signal: new AbortController().signal };

function lzop(plain: Uint8Array): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(plain), encoder.end()]);
}

/** Segments 3 to 9, whose names do not show their size; `read`: how many were looked into. */
function archive(mb: number, isReadable: boolean): { store: MemoryStore; read: () => number } {
  const store = new MemoryStore();
  for (let index = 3; index <= 9; index += 1) {
    const name = segmentName(1, BigInt(index * mb * MB), mb * MB);
    store.set(walKey(name), new Date(0), {
      bytes: isReadable ? lzop(segmentHead(name, mb * MB)) : new Uint8Array(9),
    });
  }
  const get = store.get.bind(store);
  let count = 0;
  store.get = async (key, options) => {
    count += 1;
    return get(key, options);
  };
  return { store, read: () => count };
}

it.each([1, 16, 64])('where nothing else tells, the header of the newest segment does: %i MB', async (mb) => {
  const { store, read } = archive(mb, true);
  const { coverage } = await readWal(store, ['wal_005/'], undefined, call);
  expect(coverage.segmentBytes).toBe(mb * MB);
  expect(coverage.ranges(1)).toEqual([{ first: 3, last: 9 }]);
  expect(read()).toBe(1);
});

it("where no header can be read, PostgreSQL's default is assumed", async () => {
  const { store } = archive(64, false);
  expect((await readWal(store, ['wal_005/'], undefined, call)).coverage.segmentBytes).toBe(16 * MB);
});

it('no segment is looked into where the size is known', async () => {
  const { store, read } = archive(64, true);
  expect((await readWal(store, ['wal_005/'], 64 * MB, call)).coverage.segmentBytes).toBe(64 * MB);
  expect(read()).toBe(0);
});

it('a header that leaves no room for the names is not believed', async () => {
  const { store } = archive(64, true);
  const name = '0000000100000000000000FF';
  store.set(walKey(name), new Date(0), { bytes: lzop(segmentHead(name, 64 * MB)) });
  const { coverage } = await readWal(store, ['wal_005/'], undefined, call);
  expect(coverage.segmentBytes).toBe(16 * MB);
  expect(coverage.last(1)).toBe(255);
});
