import { expect, it } from 'vitest';
import { backupName, partKey, sentinelKey, versionKey } from '../../src/archive/layout.ts';
import { withdraw } from '../../src/backup/unfinished.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';

const NAME = backupName('000000010000000000000002', 40);
const OTHER = backupName('000000010000000000000003', 40);
const OTHERS = [versionKey(OTHER), partKey(OTHER, 0), sentinelKey(OTHER)];

function archive(): MemoryStore {
  const store = new MemoryStore();
  for (const key of [versionKey(NAME), partKey(NAME, 0), partKey(NAME, 1234), ...OTHERS])
    store.set(key, new Date());
  return store;
}

async function withdrawn(store: MemoryStore) {
  const { log, records } = testContext({ store });
  await withdraw(NAME, store, log);
  return records;
}

it('a backup that fails takes back all that it has stored, and nothing of others', async () => {
  const store = archive();
  expect(await withdrawn(store)).toMatchObject([
    { level: 'INFO', message: 'removed what the failed backup had stored', detail: `3 objects of ${NAME}.` },
  ]);
  expect(store.keys()).toEqual([...OTHERS].sort());
});

it('what cannot be taken back is a warning: why the backup failed is told after it', async () => {
  const store = archive();
  store.stubborn.add(partKey(NAME, 0));
  expect(await withdrawn(store)).toMatchObject([
    { level: 'WARNING', message: 'what the failed backup had stored could not be removed' },
  ]);
  const broken = archive();
  broken.beforeRemove = () => {
    throw new Error('gone');
  };
  expect(await withdrawn(broken)).toMatchObject([
    { level: 'WARNING', detail: expect.stringContaining('gone') },
  ]);
});
