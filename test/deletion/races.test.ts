/** delete beside itself, beside a backup that is being made, and ended at every single request. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BackupName,
  backupName,
  partKey,
  partPrefix,
  sentinelKey,
  versionKey,
  walKey,
} from '../../src/archive/layout.ts';
import { restorability } from '../../src/archive/restorability.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { surveyBackups } from '../../src/archive/survey.ts';
import { storeSentinel } from '../../src/backup/sentinel-put.ts';
import { checkStoredParts } from '../../src/backup/upload.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { DataError } from '../../src/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { surveyWal } from '../../src/verification/wal-survey.ts';
import { backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { seededRandom } from '../harness/random.ts';
import { inTurns, SteppedStore } from '../harness/stepped-store.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const DAY = 86_400_000;
const { signal } = new AbortController();
const call = { signal };
const COMMON = { confirm: true, dryRun: false, json: true, orphansOlderThan: undefined } as const;
const retain = (count: number, orphansOlderThan?: string): DeleteArguments => ({
  ...COMMON,
  verb: 'retain',
  count,
  retainDays: undefined,
  orphansOlderThan,
});
const everything: DeleteArguments = { ...COMMON, verb: 'everything', orphansOlderThan: '0' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

function put(store: MemoryStore, start: number, at: number, complete = true): BackupName {
  const backup = backupOf({ start, stop: start + 1, at, parts: [0, 1], system: '7' });
  store.set(versionKey(backup.name), new Date(at), { size: 10 });
  for (const number of [0, 1]) store.set(partKey(backup.name, number), new Date(at), { size: 100 });
  if (complete && backup.reading.kind === 'read')
    store.set(sentinelKey(backup.name), new Date(at), {
      bytes: Buffer.from(writeSentinel(backup.reading.sentinel)),
    });
  return backup.name;
}

/** Backups at 4, 8, 12 and 16, WAL from 1 to 20; with `slow`, one at 10 that began before the newest ones and has no sentinel. */
function archive({ slow = false } = {}) {
  const store = new MemoryStore();
  for (const start of [4, 8, 12, 16]) put(store, start, NOW - (40 - start) * DAY);
  for (let index = 1; index <= 20; index += 1)
    store.set(walKey(segmentAt(1, index)), new Date(NOW - (40 - index) * DAY), { size: 100_000 });
  const slowName = slow ? put(store, 10, NOW - 30 * DAY, false) : backupName(segmentAt(1, 10), 40);
  return { store, slowName };
}

const slowSentinel = () => {
  const started = NOW - 30 * DAY;
  const { reading } = backupOf({ start: 10, stop: 11, at: NOW, started, parts: [0, 1], system: '7' });
  return reading.kind === 'read' ? writeSentinel(reading.sentinel) : '';
};

async function broken(store: Store): Promise<string[]> {
  const { backups } = await surveyBackups(store, call);
  const { listed, tree } = await surveyWal(store, SEGMENT_BYTES, new Map(), call);
  const coverage = listed.sized(SEGMENT_BYTES);
  return backups
    .filter((backup) => backup.sentinel !== undefined && !restorability(backup, tree, coverage).ok)
    .map(({ name }) => name);
}

const listedIn = (store: MemoryStore) =>
  store.keys().flatMap((key) => /(base_\w{24}_\w{8})_backup_stop/.exec(key)?.[1] ?? []);

describe('a backup that seemed to be left over', () => {
  /** Calls `act` just before the first request of which `when` holds. */
  function at(store: MemoryStore, when: (what: string) => boolean, act: () => void): Store {
    let done = false;
    const look = (what: string) => {
      if (done || !when(what)) return;
      done = true;
      act();
    };
    return {
      url: store.url,
      put: (...args) => store.put(...args),
      get: (...args) => store.get(...args),
      head: (key, options) => {
        look(`head ${key}`);
        return store.head(key, options);
      },
      async *list(prefix, options) {
        look(`list ${prefix}`);
        yield* store.list(prefix, options);
      },
      remove: (keys, options) => {
        look(`remove ${keys[0]}`);
        return store.remove(keys, options);
      },
      leftovers: (...args) => store.leftovers(...args),
      removeLeftover: (...args) => store.removeLeftover(...args),
      close: async () => {},
    };
  }

  const complete = (store: MemoryStore, name: BackupName) => () =>
    store.set(sentinelKey(name), new Date(NOW), { bytes: Buffer.from(slowSentinel()) });

  it.each([
    ['retain', retain(1)],
    ['everything', everything],
  ])('and is completed after it was looked at stays, with its WAL: %s', async (_verb, args) => {
    const { store, slowName } = archive({ slow: true });
    const context = testContext({
      store: at(store, (what) => what === 'list wal_005/', complete(store, slowName)),
    });
    expect(await run(args, context)).toBe(0);
    expect(listedIn(store)).toContain(slowName);
    expect(await broken(store)).toEqual([]);
    expect(context.records.map(({ message }) => message)).toContain(
      'keeping a backup that seemed to be left over',
    );
  });

  it('and gets another part stays', async () => {
    const { store, slowName } = archive({ slow: true });
    const more = () => store.set(partKey(slowName, 2), new Date(NOW), { size: 100 });
    const context = testContext({ store: at(store, (what) => what === 'list wal_005/', more) });
    expect(await run(retain(1), context)).toBe(0);
    expect(store.keys().filter((key) => key.includes(slowName))).toHaveLength(4);
    expect(store.objects.has(walKey(segmentAt(1, 10)))).toBe(true);
  });

  it('and is completed while its parts go is not listed in the end, and that is an error', async () => {
    const { store, slowName } = archive({ slow: true });
    const context = testContext({
      store: at(
        store,
        (what) => what.startsWith(`remove basebackups_005/${slowName}`),
        complete(store, slowName),
      ),
    });
    expect(await run(retain(1), context)).toBe(1);
    expect(listedIn(store)).not.toContain(slowName);
    expect(await broken(store)).toEqual([]);
    expect(context.records.filter(({ level }) => level === 'ERROR').map(({ message }) => message)).toEqual([
      'a backup was completed while what it consisted of was deleted',
    ]);
  });

  it('goes when nothing happens', async () => {
    const { store, slowName } = archive({ slow: true });
    expect(await run(retain(1), testContext({ store }))).toBe(0);
    expect(store.keys().filter((key) => key.includes(slowName))).toEqual([]);
  });
});

describe('in whatever order requests reach the store', () => {
  const SCHEDULES = 40;

  /** backup-push: its last part, then its sentinel. False when it noticed that its parts were gone. */
  async function finishBackup(store: Store, name: BackupName): Promise<boolean> {
    const expected = new Map([0, 1].map((number) => [partKey(name, number) as string, 100]));
    const options = { createOnly: false, contentType: 'application/octet-stream', signal } as const;
    try {
      await store.put(partKey(name, 1), [new Uint8Array(100)], options);
      const checkParts = () => checkStoredParts(store, partPrefix(name), expected, signal);
      await storeSentinel(name, slowSentinel(), { store, checkParts, signal });
      return true;
    } catch (error) {
      if (error instanceof DataError) return false;
      throw error;
    }
  }

  it('two deletes never leave a listed backup that cannot be restored, and finish', async () => {
    for (let seed = 1; seed <= SCHEDULES; seed += 1) {
      const { store } = archive({ slow: true });
      const actors = [retain(1), retain(3)].map((args) => async (step: () => Promise<void>) => {
        const status = await run(args, testContext({ store: new SteppedStore(store, step) }));
        expect(status, `seed ${seed}`).toBe(0);
      });
      let objects = 0;
      await inTurns(actors, seededRandom(seed), async () => {
        if (store.objects.size === objects) return;
        objects = store.objects.size;
        expect(await broken(store), `seed ${seed}`).toEqual([]);
      });
      expect(listedIn(store), `seed ${seed}`).toEqual([`base_${segmentAt(1, 16)}_00000040`]);
      expect(store.keys().filter((key) => key.startsWith('wale_delete_'))).toEqual([]);
    }
  });

  it('a delete that takes a running backup for left over ends with it restorable, or not listed', async () => {
    const ends = new Set<string>();
    for (let seed = 1; seed <= 3 * SCHEDULES; seed += 1) {
      const { store, slowName } = archive({ slow: true });
      const told: number[] = [];
      let finished = false;
      await inTurns(
        [
          async (step) => {
            const context = testContext({ store: new SteppedStore(store, step) });
            told.push(await run(retain(1, '0'), context));
          },
          async (step) => {
            for (let pause = Math.floor(seededRandom(seed + 1000)() * 60); pause > 0; pause -= 1)
              await step();
            finished = await finishBackup(new SteppedStore(store, step), slowName);
          },
        ],
        seededRandom(seed),
        async () => {},
      );
      expect(await broken(store), `seed ${seed}`).toEqual([]);
      const isListed = listedIn(store).includes(slowName);
      if (isListed) expect(finished, `seed ${seed}`).toBe(true);
      // Whoever was told that all is well must not have lost anything by it.
      if (!isListed) expect(finished && told[0] === 0, `seed ${seed}`).toBe(false);
      ends.add(`${isListed ? 'listed' : 'gone'}, backup ${finished ? 'done' : 'failed'}, delete ${told[0]}`);
    }
    expect([...ends].sort()).toEqual(
      expect.arrayContaining(['gone, backup failed, delete 0', 'listed, backup done, delete 0']),
    );
  });
});

describe('a delete that dies', () => {
  it.each([
    ['retain', retain(2)],
    ['everything', everything],
  ])(
    'before any of its requests leaves nothing broken, and the next run ends as if it had lived: %s',
    async (_verb, args) => {
      const whole = archive({ slow: true }).store;
      let requests = 0;
      const counted = async () => {
        requests += 1;
      };
      expect(await run(args, testContext({ store: new SteppedStore(whole, counted) }))).toBe(0);
      expect(requests).toBeGreaterThan(40);
      for (let death = 0; death < requests; death += 1) {
        const { store } = archive({ slow: true });
        let left = death;
        const step = async () => {
          left -= 1;
          if (left < 0) throw new Error('killed');
        };
        await expect(run(args, testContext({ store: new SteppedStore(store, step) }))).rejects.toThrow(
          'killed',
        );
        expect(await broken(store), `request ${death}`).toEqual([]);
        expect(await run(args, testContext({ store }))).toBe(0);
        expect(store.keys(), `request ${death}`).toEqual(whole.keys());
      }
    },
  );
});

describe('the clock of this host', () => {
  it('ahead of the store makes everything seem old: delete refuses', async () => {
    const { store } = archive({ slow: true });
    const before = store.keys();
    const inner = store.put.bind(store);
    store.put = async (key, body, options) => {
      const result = await inner(key, body, options);
      store.set(key, new Date(NOW - 3_600_000));
      return result;
    };
    await expect(run(retain(1), testContext({ store }))).rejects.toThrow('the clock of this host is ahead');
    expect(store.keys()).toEqual(before);
  });

  it('behind the store, or a little ahead, only keeps more', async () => {
    for (const ahead of [-30 * DAY, 600_000]) {
      const { store, slowName } = archive({ slow: true });
      vi.setSystemTime(NOW + ahead);
      const inner = store.put.bind(store);
      store.put = async (key, body, options) => {
        const result = await inner(key, body, options);
        store.set(key, new Date(NOW));
        return result;
      };
      expect(await run(retain(1), testContext({ store }))).toBe(0);
      expect(store.objects.has(versionKey(slowName))).toBe(ahead < 0);
      expect(await broken(store)).toEqual([]);
    }
  });
});
