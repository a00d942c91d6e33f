import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { openFileStore, withDeadline } from '../../src/store/file-deadline.ts';
import type { FoundObject, Store } from '../../src/store/store.ts';
import { contents } from '../contract/store.ts';

const KEY = walKey('000000010000000000000001');
const never = () => new Promise<never>(() => {});
const call = () => ({ signal: new AbortController().signal });
const put = (store: Store, signal: AbortSignal) =>
  store.put(KEY, [Buffer.from('x')], { signal, createOnly: true, contentType: 'application/octet-stream' });

let root: string;
let plain: Store;
const opened: Store[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wale-file-deadline-'));
  plain = openFileStore(root, { ms: undefined });
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await plain.close();
  rmSync(root, { recursive: true });
});

/** The plain store, but for the `hanging` calls. */
function store(hanging: Partial<Store>, ms: number | undefined, cleanUpMs = 60_000): Store {
  const made = withDeadline({ ...plain, ...hanging }, { ms, cleanUpMs });
  opened.push(made);
  return made;
}

/** An object whose second chunk never comes; `ends` counts how often its reading was ended early. */
function halfObject(): { found: FoundObject; ends: () => number } {
  let ends = 0;
  async function* body() {
    try {
      yield Buffer.from('half');
      await never();
    } finally {
      ends += 1;
    }
  }
  return { found: { key: KEY, size: 8, modified: new Date(), body: body() }, ends: () => ends };
}

const TOO_LATE = {
  message: 'the store did not do what was asked within the deadline of 0.3 s',
  detail: expect.stringContaining(`/${KEY}".`),
  transient: false,
};

describe('a store whose calls hang', () => {
  it('rejects every call at the deadline', async () => {
    const hanging = store({ put: never, get: never, head: never, remove: never }, 300);
    const calls = [
      put(hanging, call().signal),
      hanging.get(KEY, call()),
      hanging.head(KEY, call()),
      hanging.remove([KEY], call()),
    ];
    for (const waiting of calls) await expect(waiting).rejects.toMatchObject(TOO_LATE);
  });

  it('rejects a call that is made after the deadline, too', async () => {
    const hanging = store({ head: never }, 300);
    await expect(hanging.head(KEY, call())).rejects.toMatchObject(TOO_LATE);
    await expect(hanging.head(KEY, call())).rejects.toMatchObject(TOO_LATE);
  });

  it('rejects the reading of an object that stands still', async () => {
    const { found } = halfObject();
    const hanging = store({ get: async () => found }, 300);
    await expect(contents(await hanging.get(KEY, call()))).rejects.toMatchObject(TOO_LATE);
  });

  it('rejects with the reason of the abort, when the call had its time to clean up', async () => {
    const controller = new AbortController();
    const hanging = store({ put: never }, undefined, 300);
    const waiting = put(hanging, controller.signal);
    controller.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});

describe('a store that answers', () => {
  it('is waited for while it cleans up after an abort', async () => {
    const controller = new AbortController();
    let isClean = false;
    const slow: Store['put'] = async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      isClean = true;
      throw new Error('cleaned up');
    };
    const waiting = put(store({ put: slow }, undefined), controller.signal);
    controller.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('cleaned up');
    expect(isClean).toBe(true);
  });

  it('is told when the reading of an object ends early', async () => {
    const { found, ends } = halfObject();
    const object = await store({ get: async () => found }, 60_000).get(KEY, call());
    for await (const _ of object?.body ?? []) break;
    expect(ends()).toBe(1);
  });
});
