import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { createFileStore } from '../../src/store/file.ts';
import { modifiedOf } from '../../src/store/file-date.ts';

const call = { signal: new AbortController().signal };

it('is the nearest that there is where the file has one beyond all dates', () => {
  expect(modifiedOf({ mtimeMs: 1e12 })).toEqual(new Date(1e12));
  expect(modifiedOf({ mtimeMs: 9e15 })).toEqual(new Date(8.64e15));
  expect(modifiedOf({ mtimeMs: -9e15 })).toEqual(new Date(-8.64e15));
});

// A file system in memory keeps any date.
const folder = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/wale-') : undefined;
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

it.skipIf(folder === undefined)('is a date for all who ask the store for it', async () => {
  const root = folder ?? '';
  const key = walKey('000000010000000000000001');
  mkdirSync(`${root}/wal_005`);
  writeFileSync(`${root}/${key}`, 'x');
  utimesSync(`${root}/${key}`, 9e12, 9e12);
  const modified = Number.isNaN(statSync(`${root}/${key}`).mtime.getTime())
    ? new Date(8.64e15)
    : statSync(`${root}/${key}`).mtime;
  const store = createFileStore(root);
  expect((await store.head(key, call))?.modified).toEqual(modified);
  for await (const page of store.list('', call)) expect(page).toEqual([{ key, size: 1, modified }]);
  const found = await store.get(key, call);
  expect(found?.modified).toEqual(modified);
  for await (const _ of found?.body ?? []);
  await store.close();
});
