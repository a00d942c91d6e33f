import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readBody } from '../../src/store/file-body.ts';
import { open } from '../../src/store/file-system.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';

const KB = 1024;
const signal = new AbortController().signal;

async function body(path: string, size: number, oneAtATime: boolean) {
  return readBody(await open(path, 'r'), path, size, { signal, oneAtATime });
}

function file(size: number): { readonly path: string; readonly bytes: Uint8Array } {
  const path = join(createScratch(), 'object');
  const bytes = seededBytes(size, 1);
  writeFileSync(path, bytes);
  return { path, bytes };
}

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === path;
    } catch {
      return false;
    }
  });
}

test.each([1, 256 * KB, 256 * KB + 1, 3000 * KB, 20_000 * KB])(
  '%i bytes come as they are, from memory that is used again',
  async (size) => {
    const { path, bytes } = file(size);
    const hash = createHash('sha256');
    const buffers = new Set<unknown>();
    for await (const chunk of await body(path, size, true)) {
      hash.update(chunk);
      buffers.add(chunk.buffer);
    }
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(buffers.size).toBeLessThanOrEqual(2);
    expect(isOpen(path)).toBe(false);
  },
);

test('chunks can be kept where nobody said otherwise', async () => {
  const { path, bytes } = file(3000 * KB);
  const chunks = [];
  for await (const chunk of await body(path, bytes.length, false)) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
});

test.each([0, 1, 3])(
  'a file that became shorter is an error, after %i chunks that were right',
  async (whole) => {
    const { path, bytes } = file(2000 * KB);
    const read: number[] = [];
    const readAll = async () => {
      for await (const chunk of await body(path, bytes.length, true)) {
        read.push(chunk.length);
        if (read.length === whole) truncateSync(path, 0);
      }
    };
    if (whole === 0) truncateSync(path, 0);
    await expect(readAll()).rejects.toThrow('a file in the store became shorter while it was read');
    // One more was read already.
    expect(read.length).toBeLessThanOrEqual(whole + 1);
    expect(isOpen(path)).toBe(false);
  },
);

test('a reader that leaves early leaves nothing open', async () => {
  const { path, bytes } = file(2000 * KB);
  for await (const _ of await body(path, bytes.length, true)) break;
  expect(isOpen(path)).toBe(false);
});
