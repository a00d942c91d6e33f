import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { packWalFile } from '../../src/wal/pack.ts';
import { pushPool } from '../../src/wal/pool.ts';
import { statWalFile, type WalFile } from '../../src/wal/wal-file.ts';
import { testContext } from '../harness/context.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAMED = '000000010000000000000003';
const NEIGHBOURS = followingSegments(NAMED, 3, MB);

function scene() {
  const folder = createScratch();
  mkdirSync(join(folder, 'pg_wal'));
  const file = (name: string): WalFile => {
    const path = join(folder, 'pg_wal', name);
    writeFileSync(path, segmentBytes(name, MB, 1));
    return statWalFile(path);
  };
  const archive = join(folder, 'archive');
  const store = createFileStore(archive);
  return {
    store,
    named: file(NAMED),
    neighbours: NEIGHBOURS.map(file),
    archived: () => readdirSync(join(archive, 'wal_005')).sort(),
  };
}

/** Puts of these names last until they are given up. */
function slowFor(names: readonly string[], store: Store): Store {
  const keys = new Set<string>(names.map(walKey));
  return {
    ...store,
    async put(key, body, options) {
      if (!keys.has(key)) return store.put(key, body, options);
      await delay(60_000, undefined, { signal: options.signal }).catch(() => undefined);
      throw options.signal.reason;
    },
  };
}

function push(store: Store, { named, neighbours }: ReturnType<typeof scene>, signal?: AbortSignal) {
  const context = testContext({ store });
  const pushed: string[] = [];
  const failed: string[] = [];
  const done = pushPool(
    named,
    neighbours,
    {
      store,
      log: context.log,
      archive: store.url,
      gpgKeyId: undefined,
      signal: signal ?? context.signal,
    },
    {
      pushed: ({ name }) => pushed.push(name),
      failed: ({ name }, error) => failed.push(`${name}: ${error instanceof Error ? error.message : error}`),
      neighbourMs: 200,
    },
  );
  return { done, pushed, failed };
}

describe('a pool whose named file is durable', () => {
  it('succeeds when neighbours are given up because they take too long, and tells which', async () => {
    const made = scene();
    const [slow = '', ...quick] = NEIGHBOURS;
    const { done, pushed, failed } = push(slowFor([slow], made.store), made);
    await done;
    expect(pushed.sort()).toEqual(quick);
    expect(failed).toEqual([`${slow}: not archived within 0.2 s after the file that was asked for`]);
    expect(made.archived()).toEqual([NAMED, ...quick].map((name) => `${name}.lzo`));
  });

  it('succeeds when the command is stopped while neighbours are still on their way', async () => {
    const made = scene();
    const stop = new AbortController();
    const store = slowFor(NEIGHBOURS, made.store);
    const stopping: Store = {
      ...store,
      async put(key, body, options) {
        const result = await store.put(key, body, options);
        setImmediate(() => stop.abort(new Error('stopped')));
        return result;
      },
    };
    const { done, pushed } = push(stopping, made, stop.signal);
    await done;
    expect(pushed).toEqual([]);
    expect(made.archived()).toEqual([`${NAMED}.lzo`]);
  });
});

describe('a neighbour whose put is given up while a call of it hangs', () => {
  it('keeps its bytes, which the call may still write', async () => {
    const made = scene();
    const [first = '', ...others] = NEIGHBOURS;
    const kept: Uint8Array[] = [];
    const hanging: Store = {
      ...made.store,
      async put(key, body, options) {
        if (key !== walKey(first)) return made.store.put(key, body, options);
        kept.push(...(body as readonly Uint8Array[]));
        throw new Error('the store did not answer in time');
      },
    };
    const { done, pushed } = push(hanging, made);
    await done;
    expect(pushed.sort()).toEqual(others);
    const [file] = made.neighbours;
    if (file === undefined) throw new Error('no neighbour');
    expect(Buffer.concat(kept).equals(Buffer.concat(packWalFile(file)))).toBe(true);
  });
});

describe('a pool whose named file is not', () => {
  it('fails with what stopped the command', async () => {
    const made = scene();
    const stop = new AbortController();
    const { done } = push(slowFor([NAMED], made.store), made, stop.signal);
    setTimeout(() => stop.abort(new Error('stopped')), 300);
    await expect(done).rejects.toThrow('stopped');
  });
});
