import { expect, it } from 'vitest';
import { backupName, partKey, partPrefix, sentinelKey } from '../../src/archive/layout.ts';
import { storeSentinel } from '../../src/backup/sentinel-put.ts';
import { checkStoredParts } from '../../src/backup/upload.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { onLossyS3 } from '../harness/s3/lossy.ts';

const NAME = backupName('000000010000000000000010', 40);
const { signal } = new AbortController();

/** A store with the one part of a backup. */
function started() {
  const store = new MemoryStore();
  store.set(partKey(NAME, 0), new Date(), { size: 7 });
  const expected = new Map([[partKey(NAME, 0) as string, 7]]);
  const checkParts = () => checkStoredParts(store, partPrefix(NAME), expected, signal);
  return { store, checkParts, signal };
}

it('a sentinel is stored when all parts are there', async () => {
  const backup = started();
  await storeSentinel(NAME, '{}', backup);
  expect(backup.store.objects.has(sentinelKey(NAME))).toBe(true);
});

it('no sentinel is stored for parts that somebody deleted while WAL was waited for', async () => {
  const backup = started();
  backup.store.objects.delete(partKey(NAME, 0));
  await expect(storeSentinel(NAME, '{}', backup)).rejects.toThrow('does not hold what was uploaded');
  expect(backup.store.keys()).toEqual([]);
});

it('a sentinel is taken back when the parts went while it was stored', async () => {
  const backup = started();
  const { store } = backup;
  const put = store.put.bind(store);
  store.put = async (...args) => {
    const result = await put(...args);
    store.objects.delete(partKey(NAME, 0));
    return result;
  };
  await expect(storeSentinel(NAME, '{}', backup)).rejects.toThrow('does not hold what was uploaded');
  expect(store.keys()).toEqual([]);
});

it('a sentinel that somebody else stored stays', async () => {
  const backup = started();
  backup.store.set(sentinelKey(NAME), new Date(), { bytes: Buffer.from('theirs') });
  await expect(storeSentinel(NAME, '{}', backup)).rejects.toThrow('was completed meanwhile');
  expect(backup.store.objects.has(sentinelKey(NAME))).toBe(true);
});

it('a sentinel of our own is known again when the answer to its put got lost', async () => {
  await onLossyS3(async (store) => {
    let looks = 0;
    const checkParts = async () => {
      looks += 1;
    };
    await storeSentinel(NAME, '{"ours": true}', { store, checkParts, signal });
    expect(looks).toBe(2);
  });
});
