import { describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { Sweep } from '../../src/deletion/sweep.ts';
import { StoreError } from '../../src/errors.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';

function sweeping(dryRun: boolean) {
  const store = new MemoryStore();
  const { log, records, signal } = testContext({ store });
  const terminal = { isTTY: false, write: () => true };
  const sweep = new Sweep(store, { dryRun, log, signal, now: () => new Date(0), terminal });
  const keys = Array.from({ length: 2500 }, (_, i) => walKey(String(i)));
  for (const key of keys) store.set(key, new Date(0));
  return { store, sweep, keys, records };
}

const doomed = (keys: readonly ReturnType<typeof walKey>[]) =>
  keys.map((key) => ({ key, thing: 'a wal file' }));

describe('a sweep', () => {
  it('counts what went and what the store refused, and names at most a thousand of these', async () => {
    const { store, sweep, keys } = sweeping(false);
    for (const key of keys.slice(0, 1500)) store.stubborn.add(key);
    const refused: string[] = [];
    await sweep.keys(doomed(keys), (key) => refused.push(key));
    const { removed, failed, failures } = sweep.outcome;
    expect([removed, failed, failures.length, refused.length]).toEqual([1000, 1500, 1000, 1500]);
    expect(store.objects.size).toBe(1500);
  });

  it('does not count as gone what is still there', async () => {
    const { sweep, keys } = sweeping(false);
    const [first] = keys;
    if (first === undefined) throw new Error('no key');
    await sweep.keys(doomed([first]));
    sweep.isStillThere(first);
    expect(sweep.outcome).toMatchObject({ removed: 0, failed: 1, failures: [{ key: first }] });
  });

  it('that is a dry run changes nothing and says so with each key', async () => {
    const told = async (dryRun: boolean) => {
      const { store, sweep, keys, records } = sweeping(dryRun);
      await sweep.keys(doomed(keys));
      expect(sweep.outcome.removed).toBe(2500);
      return {
        left: store.objects.size,
        hints: records.filter(({ hint }) => hint?.includes('dry run')).length,
      };
    };
    expect(await told(true)).toEqual({ left: 2500, hints: 2500 });
    expect(await told(false)).toEqual({ left: 0, hints: 0 });
  });

  it('goes on behind an upload that the store does not end, but not over a fault of ours', async () => {
    const { store, sweep } = sweeping(false);
    const uploads = ['1', '2'].map((id) => ({ key: walKey(id), started: new Date(0), id }));
    store.uploads.push(...uploads);
    const end = store.removeLeftover.bind(store);
    store.removeLeftover = async (leftover, call) => {
      if (leftover.id === '1') throw new StoreError('refused', { transient: false, detail: 'access denied' });
      await end(leftover, call);
    };
    await sweep.leftovers(uploads);
    expect(store.uploads.map(({ id }) => id)).toEqual(['1']);
    expect(sweep.outcome).toMatchObject({ removed: 1, failed: 1, failures: [{ reason: 'access denied' }] });
    store.removeLeftover = async () => {
      throw new TypeError('a fault');
    };
    await expect(sweep.leftovers(uploads)).rejects.toThrow('a fault');
  });
});
