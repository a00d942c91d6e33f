import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupName, partKey } from '../../src/archive/layout.ts';
import { SLOT_BYTES, SLOTS } from '../../src/restore/chunk-slots.ts';
import { ExtractorThread } from '../../src/restore/extractor-thread.ts';
import { type FetchAllCall, fetchParts } from '../../src/restore/part-fetches.ts';
import { testContext } from '../harness/context.ts';
import { compress } from '../harness/lzop.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { poll } from '../harness/poll.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { file, tarOf } from '../harness/tar.ts';
import { threadsAlive } from '../harness/threads.ts';

const MEGABYTE = 1024 * 1024;
/** On the way to a thread: its slots, and a chunk that has no place yet. */
const WINDOW_BYTES = SLOTS * SLOT_BYTES + MEGABYTE;

let root: string;
let threadsBefore = 0;
const threads: ExtractorThread[] = [];

beforeEach(() => {
  root = createScratch();
  threadsBefore = threadsAlive();
});

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.close();
});

async function noThreadIsLeft(): Promise<void> {
  await poll('the threads to end', () => threadsAlive() <= threadsBefore);
}

function place() {
  return { root, mounts: new Map(), inPlaceTablespaces: true, keepOwners: false, startedMs: 0 };
}

function open(): ExtractorThread {
  const thread = new ExtractorThread(place());
  threads.push(thread);
  return thread;
}

/** A part of one file that does not compress, so that its bytes are as many packed as plain. */
function part(bytes: number, seed: number): Buffer {
  return compress(tarOf([file(`file${seed}`, seededBytes(bytes, seed))]));
}

async function* chunks(bytes: Uint8Array, size = 262_144): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield new Uint8Array(bytes.subarray(at, at + size));
}

function call(signal = new AbortController().signal, onPlain: (bytes: number) => void = () => undefined) {
  return { again: false, signal, onPlain };
}

describe('a thread that extracts', () => {
  it('takes the bytes of a part in their order, and part after part', async () => {
    const thread = open();
    for (const seed of [1, 2, 3]) {
      const { bytes } = await thread.extract(chunks(part(7 * MEGABYTE, seed)), call());
      expect(bytes).toBe(7 * MEGABYTE);
      expect(readFileSync(join(root, `file${seed}`)).equals(seededBytes(7 * MEGABYTE, seed))).toBe(true);
    }
  });

  it('takes them in pieces of any size', async () => {
    const thread = open();
    const packed = part(5 * MEGABYTE, 1);
    for (const size of [1000, SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, packed.length]) {
      await thread.extract(chunks(packed, size), { ...call(), again: true });
      expect(readFileSync(join(root, 'file1')).equals(seededBytes(5 * MEGABYTE, 1)), `${size}`).toBe(true);
    }
  });

  it('is sent no more than a few megabytes ahead of what it has taken, however fast they come', async () => {
    let pulled = 0;
    let written = 0;
    let ahead = 0;
    async function* counted() {
      for await (const chunk of chunks(part(48 * MEGABYTE, 1))) {
        pulled += chunk.length;
        ahead = Math.max(ahead, pulled - written);
        yield chunk;
      }
    }
    const taken = (bytes: number) => {
      written += bytes;
    };
    await open().extract(counted(), call(undefined, taken));
    expect(written).toBe(48 * MEGABYTE);
    expect(ahead).toBeLessThan(WINDOW_BYTES);
  });

  it('stops at damage, leaves the rest of the source, and goes on to serve other parts', async () => {
    const thread = open();
    const broken = part(32 * MEGABYTE, 1);
    broken[3 * MEGABYTE] = (broken[3 * MEGABYTE] ?? 0) ^ 1;
    let pulled = 0;
    async function* counted() {
      for await (const chunk of chunks(broken)) {
        pulled += chunk.length;
        yield chunk;
      }
    }
    await expect(thread.extract(counted(), call())).rejects.toMatchObject({
      name: 'DataError',
      detail: expect.stringMatching(/wrong checksum of a block, at byte \d+/),
    });
    expect(pulled).toBeLessThan(16 * MEGABYTE);
    await thread.extract(chunks(part(MEGABYTE, 2)), call());
    expect(readFileSync(join(root, 'file2')).equals(seededBytes(MEGABYTE, 2))).toBe(true);
  });

  it('passes on an error of its source, and goes on to serve other parts', async () => {
    const thread = open();
    async function* failing() {
      yield* chunks(part(4 * MEGABYTE, 1).subarray(0, 3 * MEGABYTE));
      throw new Error('the network is gone');
    }
    await expect(thread.extract(failing(), call())).rejects.toThrow('the network is gone');
    await thread.extract(chunks(part(MEGABYTE, 2)), call());
  });
});

describe('the threads of a restore', () => {
  const name = backupName('000000010000000000000003', 40);

  async function fetchAll(bodies: readonly Buffer[], more: Partial<FetchAllCall> = {}): Promise<void> {
    const store = new MemoryStore();
    for (const [number, body] of bodies.entries()) {
      // Whoever reads an object may give its memory away.
      store.set(partKey(name, number), new Date(), { bytes: new Uint8Array(body) });
    }
    const parts = bodies.map(({ length }, number) => ({
      ...{ key: partKey(name, number), number, size: length, mark: '', fact: undefined },
    }));
    const { log } = testContext({ store });
    await fetchParts(parts, {
      ...{ store, log, signal: new AbortController().signal, width: 3, resumed: false, place: place() },
      ...{ onPlain: () => undefined, onRepeat: () => undefined, onPart: async () => undefined },
      ...more,
    });
  }

  const parts = [1, 2, 3, 4, 5].map((seed) => part(3 * MEGABYTE, seed));

  it('are gone when all parts are there', async () => {
    let most = 0;
    await fetchAll(parts, {
      onPart: async () => {
        most = Math.max(most, threadsAlive());
      },
    });
    if (threadsBefore > 0) expect(most).toBeGreaterThanOrEqual(threadsBefore + 3);
    await noThreadIsLeft();
  });

  it('are gone when a part could not be extracted', async () => {
    const refused = compress(tarOf([file('../outside', 'x')]));
    await expect(fetchAll([...parts, refused])).rejects.toThrow('refusing a member of the base backup');
    await noThreadIsLeft();
  });

  it('are gone when the signal aborts in the middle of a part', async () => {
    const controller = new AbortController();
    const aborting = fetchAll(parts, {
      signal: controller.signal,
      onPlain: () => controller.abort(new Error('enough')),
    });
    await expect(aborting).rejects.toThrow('enough');
    await noThreadIsLeft();
  });
});
