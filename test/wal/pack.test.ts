import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { packInto, packStream, packWalFile, SLAB_BYTES } from '../../src/wal/pack.ts';
import { packAhead } from '../../src/wal/pack-ahead.ts';
import { statWalFile, type WalFile } from '../../src/wal/wal-file.ts';
import { decompress } from '../harness/lzop.ts';
import { noise } from '../harness/samples.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAMES = ['000000010000000000000003', '000000010000000000000004', '000000010000000000000005'];

const folder = createScratch();

function segment(name: string, megabytes: number): WalFile {
  const path = join(folder, name);
  if (!existsSync(path)) writeFileSync(path, segmentBytes(name, megabytes * MB, 1));
  return statWalFile(path);
}

function isWhole(file: WalFile, pieces: readonly Uint8Array[]): boolean {
  return decompress(Buffer.concat(pieces)).equals(readFileSync(file.path));
}

/** As a store does that is done with a piece only after a while; the memory of a piece is then its maker's again. */
async function readSlowly(source: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of source) {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    pieces.push(Buffer.from(piece));
  }
  return pieces;
}

function openPaths(): string[] {
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      return [readlinkSync(`/proc/self/fd/${number}`)];
    } catch {
      return [];
    }
  });
}

describe('a packed file', () => {
  const file = segment(NAMES[0] ?? '', 4);

  it('comes in slabs, all but the last of them full', () => {
    const pieces = packWalFile(file);
    expect(pieces.length).toBeGreaterThan(4);
    expect(new Set(pieces.slice(0, -1).map(({ length }) => length))).toEqual(new Set([SLAB_BYTES]));
    expect(isWhole(file, pieces)).toBe(true);
  });

  it('is not harmed by others that are packed in turns with it', () => {
    const files = NAMES.map((name) => segment(name, 4));
    const made = files.map((each) => packInto(each, () => new Uint8Array(SLAB_BYTES)));
    const pieces = files.map((): Uint8Array[] => []);
    for (let left = made.length; left > 0; ) {
      left = 0;
      for (const [index, generator] of made.entries()) {
        const { done, value } = generator.next();
        if (done === true) continue;
        pieces[index]?.push(value);
        left += 1;
      }
    }
    for (const [index, each] of files.entries()) expect(isWhole(each, pieces[index] ?? [])).toBe(true);
  });
});

describe('a file that is packed ahead of its reader', () => {
  const file = segment(NAMES[1] ?? '', 4);

  it('reaches a slow reader as it is, whatever else is packed meanwhile', async () => {
    const others = NAMES.map((name) => segment(name, 4));
    const all = await Promise.all([file, ...others].map((each) => readSlowly(packAhead(each))));
    for (const [index, each] of [file, ...others].entries())
      expect(isWhole(each, all[index] ?? [])).toBe(true);
  });

  it('takes no memory but the codec’s, and that of three slabs where another file has it', async () => {
    const [first, second] = [new Set<unknown>(), new Set<unknown>()];
    const other = packAhead(file)[Symbol.asyncIterator]();
    for await (const { buffer } of packAhead(file)) {
      second.add(buffer);
      const { value, done } = await other.next();
      if (done !== true) first.add(value.buffer);
    }
    while ((await other.next()).done !== true);
    expect([first.size, second.size]).toEqual([1, 3]);
  });

  it('that does not compress is stored in the same way', async () => {
    const path = join(createScratch(), NAMES[0] ?? '');
    mkdirSync(join(path, '..'), { recursive: true });
    const bytes = segmentBytes(NAMES[0] ?? '', 2 * MB, 1);
    noise(bytes.length - 8192, 1).copy(bytes, 8192);
    writeFileSync(path, bytes);
    const noisy = statWalFile(path);
    expect(isWhole(noisy, await readSlowly(packAhead(noisy)))).toBe(true);
  });

  it('is the same as without a reader', async () => {
    const ahead = Buffer.concat(await readSlowly(packAhead(file)));
    expect(ahead.equals(Buffer.concat(packWalFile(file)))).toBe(true);
    expect(ahead.equals(Buffer.concat(await readSlowly(packStream(file))))).toBe(true);
  });

  it('that changed meanwhile is an error before its last piece', async () => {
    const changing = join(createScratch(), NAMES[2] ?? '');
    mkdirSync(join(changing, '..'), { recursive: true });
    writeFileSync(changing, segmentBytes(NAMES[2] ?? '', 2 * MB, 1));
    const pieces: Uint8Array[] = [];
    const read = async () => {
      for await (const piece of packAhead(statWalFile(changing))) {
        if (pieces.length === 0) appendFileSync(changing, 'x');
        pieces.push(piece);
      }
    };
    await expect(read()).rejects.toThrow(DataError);
    expect(pieces.length).toBeGreaterThan(0);
  });

  it('does not give away what another has when it is asked again behind its end', async () => {
    const [early, late] = [file, segment(NAMES[2] ?? '', 4)];
    const over = packAhead(early)[Symbol.asyncIterator]();
    while ((await over.next()).done !== true);
    const holder = readSlowly(packAhead(early));
    expect((await over.next()).done).toBe(true);
    const all = await Promise.all([holder, readSlowly(packAhead(late))]);
    expect([isWhole(early, all[0]), isWhole(late, all[1])]).toEqual([true, true]);
  });

  it('may use the codec’s memory after another that came to its end, but not after one that was given up', async () => {
    const buffersOf = async (source: AsyncIterable<Uint8Array>) => {
      const buffers = new Set<unknown>();
      for await (const { buffer } of source) buffers.add(buffer);
      return buffers;
    };
    const [before, after] = [await buffersOf(packAhead(file)), await buffersOf(packAhead(file))];
    expect(after).toEqual(before);
    expect(before.size).toBe(1);
    for await (const _ of packAhead(file)) break;
    expect((await buffersOf(packAhead(file))).size).toBe(3);
  });

  it('is closed when its reader leaves, and nobody hears of what was made for it', async () => {
    for await (const _ of packAhead(file)) break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(openPaths()).not.toContain(file.path);
  });
});
