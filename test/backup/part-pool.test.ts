import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPartPool, type PartPool } from '../../src/backup/part-pool.ts';
import type { PackedPart, PartMember } from '../../src/backup/part-protocol.ts';
import { decompress } from '../harness/lzop.ts';
import { poll } from '../harness/poll.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { tarMembers } from '../harness/tar-members.ts';
import { threadsAlive } from '../harness/threads.ts';

const MEGABYTE = 1024 * 1024;
const signal = new AbortController().signal;
const pools: PartPool[] = [];

let threadsBefore = 0;

beforeEach(() => {
  threadsBefore = threadsAlive();
});

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
  // Whatever the test did: finished, left in the middle, aborted, failed.
  await poll('the threads of the pool to end', () => threadsAlive() <= threadsBefore);
});

function open(options: { size?: number; readBytesPerSecond?: number } = {}): PartPool {
  const { size = 1, readBytesPerSecond } = options;
  const pool = createPartPool({ size, pages: undefined, readBytesPerSecond, hashed: true });
  pools.push(pool);
  return pool;
}

function file(bytes: number): PartMember {
  const path = join(createScratch(), 'file');
  writeFileSync(path, seededBytes(bytes, bytes));
  const owner = { mode: 0o600, uid: 0, gid: 0, userName: '', groupName: '', mtimeMs: 0 };
  return { ...owner, kind: 'file', name: 'file', path, size: bytes };
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** Taken as soon as it begins: where there is one core, the next one waits for its worker. */
async function made(pool: PartPool, bytes: number): Promise<{ object: Buffer; packed: PackedPart }> {
  const part = await pool.pack({ members: [file(bytes)], mtimeSeconds: 0 }, signal);
  const object = await drain(part.chunks);
  return { object, packed: part.packed() };
}

describe('the workers', () => {
  it('make several parts at a time and one after the other', async () => {
    const pool = open({ size: 2 });
    for (let round = 0; round < 2; round += 1) {
      const parts = await Promise.all([3, 5].map((size) => made(pool, size * MEGABYTE)));
      for (const [index, { object, packed }] of parts.entries()) {
        const bytes = [3, 5][index] ?? 0;
        const [member] = tarMembers(decompress(object));
        expect(member?.content.equals(seededBytes(bytes * MEGABYTE, bytes * MEGABYTE))).toBe(true);
        expect(packed.size).toBe(object.length);
      }
    }
    expect(pool.bytesRead()).toBe(2 * 8 * MEGABYTE);
  });

  it('are as many at the start as there are cores, and no more than parts at a time', () => {
    open({ size: 1 });
    if (threadsBefore > 0) expect(threadsAlive()).toBe(threadsBefore + 1);
    open({ size: 64 });
    if (threadsBefore > 0) expect(threadsAlive()).toBe(threadsBefore + 1 + availableParallelism());
  });

  it('hand over the memory that they write into, and no copy of it', async () => {
    const pool = open();
    const { chunks } = await pool.pack({ members: [file(64 * MEGABYTE)], mtimeSeconds: 0 }, signal);
    const memories = new Set<ArrayBufferLike>();
    for await (const chunk of chunks) memories.add(chunk.buffer);
    expect([...memories].map((memory) => memory instanceof SharedArrayBuffer)).toEqual([true]);
  });

  it('wait while nobody takes what they have made', async () => {
    const pool = open();
    const { chunks } = await pool.pack({ members: [file(64 * MEGABYTE)], mtimeSeconds: 0 }, signal);
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    let before = -1;
    await poll('the worker to wait', async () => {
      const read = pool.bytesRead();
      const waits = read === before;
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return waits;
    });
    expect(pool.bytesRead()).toBeLessThan(10 * MEGABYTE);
    for (let next = await iterator.next(); !next.done; ) next = await iterator.next();
    expect(pool.bytesRead()).toBe(64 * MEGABYTE);
  });

  it('become more, up to the size, when those there are wait for the store', async () => {
    const pool = open({ size: 8 });
    const take = async () => {
      const { chunks } = await pool.pack({ members: [file(16 * MEGABYTE)], mtimeSeconds: 0 }, signal);
      const iterator = chunks[Symbol.asyncIterator]();
      await iterator.next();
      return iterator;
    };
    // Nobody goes on reading any of them, so each needs a worker of its own.
    const held = [];
    for (let part = 0; part < 8; part += 1) held.push(await take());
    expect(held).toHaveLength(8);
    let ninth = false;
    const waiting = take().then(() => {
      ninth = true;
    });
    for (let next = await held[0]?.next(); ninth === false && next?.done === false; )
      next = await held[0]?.next();
    await waiting;
  });

  it('stop in the middle when the signal aborts, with its reason', async () => {
    const pool = open();
    const controller = new AbortController();
    const { chunks } = await pool.pack(
      { members: [file(64 * MEGABYTE)], mtimeSeconds: 0 },
      controller.signal,
    );
    const reading = async () => {
      for await (const chunk of chunks) if (chunk.length > 0) controller.abort(new Error('enough'));
    };
    await expect(reading()).rejects.toThrow('enough');
    await pool.close();
  });

  it('end while they wait, or while a rate limit holds them', async () => {
    const waiting = open();
    const { chunks } = await waiting.pack({ members: [file(64 * MEGABYTE)], mtimeSeconds: 0 }, signal);
    await chunks[Symbol.asyncIterator]().next();
    const limited = open({ readBytesPerSecond: 1 });
    const slow = await limited.pack({ members: [file(MEGABYTE)], mtimeSeconds: 0 }, signal);
    const first = drain(slow.chunks);
    first.catch(() => undefined);
    await poll('the limit to hold', () => limited.bytesRead() > 0);
    await waiting.close();
    await limited.close();
    await expect(first).rejects.toThrow('a worker thread ended');
  });

  it('keep to the rate limit together', async () => {
    const pool = open({ size: 2, readBytesPerSecond: 4 * MEGABYTE });
    const started = performance.now();
    await Promise.all([MEGABYTE, MEGABYTE].map((bytes) => made(pool, bytes)));
    expect(performance.now() - started).toBeGreaterThan(480);
  });

  it('hand an error of their own over as it is', async () => {
    const pool = open();
    const unreadable = { ...file(10), path: '/dev/null/x' };
    const { chunks } = await pool.pack({ members: [unreadable], mtimeSeconds: 0 }, signal);
    await expect(drain(chunks)).rejects.toMatchObject({
      name: 'UserError',
      message: 'could not read a file of the cluster',
      detail: expect.stringContaining('/dev/null/x'),
    });
  });
});
