import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import type { StoreError } from '../../src/errors.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import { fileError } from '../../src/store/file-error.ts';
import { refused } from '../../src/store/s3/failure.ts';
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

const systemError = (code: string) =>
  fileError('could not store a file', '/archive', Object.assign(new Error(`${code}: full`), { code }));

/** What a put into a full store fails with: of a disk, of a quota on it, of an object store. */
const FULL: Readonly<Record<'ENOSPC' | 'EDQUOT' | 'QuotaExceeded', StoreError>> = {
  ENOSPC: systemError('ENOSPC'),
  EDQUOT: systemError('EDQUOT'),
  QuotaExceeded: refused(
    { what: 'PUT s3://bucket/key', method: 'PUT', headers: {} },
    { status: 403, headers: {}, text: '<Error><Code>QuotaExceeded</Code></Error>' },
  ),
};

/** Puts of these names find the store full, when `begun` others have been begun. */
function fullFor(
  names: readonly string[],
  store: Store,
  { failure = FULL.ENOSPC, begun = 0 }: { readonly failure?: StoreError; readonly begun?: number } = {},
): Store {
  const keys = new Set<string>(names.map(walKey));
  let others = 0;
  return {
    ...store,
    async put(key, body, options) {
      if (!keys.has(key)) {
        others += 1;
        return store.put(key, body, options);
      }
      while (others < begun) await delay(1);
      throw failure;
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

describe('a pool whose named file failed', () => {
  it('tells of no neighbour that was given up for that: the reason stands in the log once', async () => {
    const made = scene();
    const [quick = '', ...others] = NEIGHBOURS;
    const slow = slowFor(others, made.store);
    const stored = new Set<string>();
    const refusing: Store = {
      ...slow,
      async put(key, body, options) {
        if (key !== walKey(NAMED)) return slow.put(key, body, options).finally(() => stored.add(key));
        while (!stored.has(walKey(quick))) await delay(1);
        throw new Error('the key has expired');
      },
    };
    const { done, pushed, failed } = push(refusing, made);
    await expect(done).rejects.toThrow('the key has expired');
    expect(pushed).toEqual([quick]);
    expect(failed).toEqual([]);
  });

  it('tells of each that failed by itself', async () => {
    const made = scene();
    const [bad = ''] = NEIGHBOURS;
    let hasFailed = false;
    const refusing: Store = {
      ...made.store,
      async put(key, body, options) {
        if (key === walKey(bad)) {
          hasFailed = true;
          throw new Error('denied');
        }
        if (key !== walKey(NAMED)) return made.store.put(key, body, options);
        while (!hasFailed) await delay(1);
        await delay(0);
        throw new Error('the key has expired');
      },
    };
    const { done, failed } = push(refusing, made);
    await expect(done).rejects.toThrow('the key has expired');
    expect(failed).toEqual([`${bad}: denied`]);
  });
});

describe('a neighbour that finds the archive full', () => {
  const GIVEN_UP = 'given up, to leave the room in the archive to the file that was asked for';

  it.each(['ENOSPC', 'EDQUOT', 'QuotaExceeded'] as const)(
    'ends the others while the named file needs the room: %s',
    async (code) => {
      const failure = FULL[code];
      const made = scene();
      const [first = '', second = '', third = ''] = NEIGHBOURS;
      // Those that are not given up would be stored; the named one is, as soon as nobody is in its way.
      const waiting = new Set<string>([first, second].map(walKey));
      const slow = slowFor([first, second], made.store);
      const inTheWay: Store = {
        ...slow,
        async put(key, body, options) {
          if (key === walKey(NAMED)) while (waiting.size > 0) await delay(1);
          return slow.put(key, body, options).finally(() => waiting.delete(key));
        },
      };
      const { done, pushed, failed } = push(fullFor([third], inTheWay, { failure, begun: 3 }), made);
      await done;
      expect(pushed).toEqual([]);
      expect(failed.sort()).toEqual(
        [`${first}: ${GIVEN_UP}`, `${second}: ${GIVEN_UP}`, `${third}: ${failure.message}`].sort(),
      );
      expect(made.archived()).toEqual([`${NAMED}.lzo`]);
    },
  );

  it('is the last that is begun', async () => {
    const made = scene();
    const [first = '', , third = ''] = NEIGHBOURS;
    const { done, pushed, failed } = push(fullFor([first], made.store), made);
    await done;
    expect(pushed).toEqual([]);
    expect(failed).toContain(`${first}: could not store a file`);
    expect(failed.join()).not.toContain(third);
    expect(made.archived()).toEqual([`${NAMED}.lzo`]);
  });

  it('ends no other when the named file is archived already', async () => {
    const made = scene();
    const [first = '', ...others] = NEIGHBOURS;
    const settled = new Set<string>();
    const full = fullFor([first], made.store);
    const late: Store = {
      ...full,
      async put(key, body, options) {
        const before = key === walKey(first) ? NAMED : first;
        if (key !== walKey(NAMED)) while (!settled.has(walKey(before))) await delay(1);
        return full.put(key, body, options).finally(() => setImmediate(() => settled.add(key)));
      },
    };
    const { done, pushed, failed } = push(late, made);
    await done;
    expect(failed).toEqual([`${first}: could not store a file`]);
    expect(pushed.sort()).toEqual(others);
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
