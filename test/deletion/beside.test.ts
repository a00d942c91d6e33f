import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deleteNoteKey, listedKey, scratchKey, walKey } from '../../src/archive/layout.ts';
import { countBeside } from '../../src/deletion/beside.ts';
import { StoreError } from '../../src/errors.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { ObjectInfo, Store } from '../../src/store/store.ts';
import { segmentAt } from '../archive/backups.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { createScratch } from '../harness/scratch.ts';

const call = { signal: new AbortController().signal };

/** What an archive holds itself. */
const OWN = [
  walKey(segmentAt(1, 1)),
  'wal_005/deeper/than/known',
  'basebackups_005/README',
  deleteNoteKey('0123'),
  scratchKey('0123'),
];
const UNKNOWN = ['README', 'wal_0055/x', 'wal_006/x', 'other/a', 'other/deeper/b', 'z'];

function memoryStore(keys: readonly string[]): MemoryStore {
  const store = new MemoryStore();
  for (const key of keys) store.set(key, new Date(0), { size: 10 });
  return store;
}

function fileStore(keys: readonly string[]): { store: Store; folder: string } {
  const folder = createScratch();
  for (const key of keys) {
    mkdirSync(dirname(join(folder, key)), { recursive: true });
    writeFileSync(join(folder, key), '0123456789');
  }
  return { store: createFileStore(folder), folder };
}

const STORES: [string, (keys: readonly string[]) => Store][] = [
  ['any store', memoryStore],
  ['the file store', (keys) => fileStore(keys).store],
];

describe.each(STORES)('what lies beside the two trees, on %s', (_name, open) => {
  it('is counted, and nothing of the archive itself', async () => {
    expect(await countBeside(open([...OWN, ...UNKNOWN]), call)).toEqual({
      objects: UNKNOWN.length,
      bytes: 10 * UNKNOWN.length,
      counted: 'all',
      problem: null,
      otherArchives: [],
      olderLayouts: [],
    });
    expect(await countBeside(open([]), call)).toMatchObject({ objects: 0, counted: 'all' });
  });

  it('is told apart from other archives and from older layouts, whose trees are not counted', async () => {
    const others = ['a/wal_005/x', 'b/c/basebackups_005/x', 'b/c/wal_005/x', 'b/wal_004/x', 'd/note'];
    const older = ['wal_004/x', 'basebackups_000/x/y', 'basebackups_000/z'];
    expect(await countBeside(open([...OWN, ...others, ...older]), call)).toMatchObject({
      objects: 1,
      otherArchives: ['a/', 'b/c/', 'b/'],
      olderLayouts: ['basebackups_000/', 'wal_004/'],
    });
  });
});

describe('the file store', () => {
  it('does not look into the lost+found of its file system', async () => {
    const { store } = fileStore(['lost+found/#123', 'x/lost+found/y']);
    expect(await countBeside(store, call)).toMatchObject({ objects: 1 });
  });

  it('comes to an end where links make a circle', async () => {
    const { store, folder } = fileStore(['wal_005/x', 'x']);
    symlinkSync(folder, join(folder, 'again'));
    expect(await countBeside(store, call)).toMatchObject({ counted: 'all' });
  });
});

describe('the mark that consoles make of a folder', () => {
  it('is no object beside the trees when it is the prefix itself', async () => {
    expect(await countBeside(memoryStore(['']), call)).toMatchObject({ objects: 0 });
  });
});

/** Its listing never ends. */
async function* endless(): AsyncGenerator<readonly ObjectInfo[]> {
  const modified = new Date(0);
  for (let page = 0; ; page += 1)
    yield Array.from({ length: 1000 }, (_, i) => ({
      key: listedKey(`lake/${page * 1000 + i}`),
      size: 1,
      modified,
    }));
}

describe('counting', () => {
  it('ends after a million keys, and says so', async () => {
    const store = Object.assign(new MemoryStore(), { list: endless });
    expect(await countBeside(store, call)).toMatchObject({
      objects: 1_000_000,
      counted: 'part',
      problem: 'counting ended there',
    });
  });

  it('says nothing of an end where the last page is the last there is', async () => {
    const store = memoryStore(Array.from({ length: 2000 }, (_, i) => `x/${i}`));
    expect(await countBeside(store, call, 2)).toMatchObject({ objects: 2000, counted: 'all' });
    expect(await countBeside(store, call, 1)).toMatchObject({ objects: 1000, counted: 'part' });
  });

  it('ends after a thousand other archives', async () => {
    const folders = Array.from({ length: 1500 }, (_, i) => `${String(i).padStart(4, '0')}/`);
    const { otherArchives, counted } = await countBeside(
      memoryStore(folders.map((folder) => `${folder}wal_005/x`)),
      call,
    );
    expect(otherArchives).toEqual(folders.slice(0, 1000));
    expect(counted).toBe('part');
  });

  it.each([false, true])(
    'that the store refuses is no failure, one that cannot be asked is: %s',
    async (unavailable) => {
      const store = Object.assign(new MemoryStore(), {
        list: (): AsyncIterable<readonly ObjectInfo[]> => ({
          [Symbol.asyncIterator]: () => ({
            next: () =>
              Promise.reject(
                new StoreError('refused', { detail: 'by policy', transient: false, unavailable }),
              ),
          }),
        }),
      });
      if (unavailable) await expect(countBeside(store, call)).rejects.toThrow('refused');
      else
        expect(await countBeside(store, call)).toMatchObject({
          objects: 0,
          counted: 'part',
          problem: 'by policy',
        });
    },
  );
});
