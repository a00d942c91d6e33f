import { EventEmitter, once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { decodeLzop } from '../../src/codec/decoder.ts';
import { run, type WalPushArguments } from '../../src/commands/wal-push.ts';
import { StoreError, UserError } from '../../src/errors.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { testContext } from '../harness/context.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const FIRST = '000000010000000000000003';

let folder: string;
let pgWal: string;
let store: Store;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wale-push-'));
  pgWal = join(folder, 'pg_wal');
  mkdirSync(join(pgWal, 'archive_status'), { recursive: true });
  store = createFileStore(join(folder, 'archive'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function addSegment(name: string, seed = 1, size = MB): string {
  writeFileSync(join(pgWal, name), segmentBytes(name, size, seed));
  return join(pgWal, name);
}

function addReady(names: readonly string[]): void {
  for (const [index, name] of names.entries()) {
    addSegment(name, index + 1);
    writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
  }
}

/** As PostgreSQL does after archive_command succeeded. */
function setDone(name: string): void {
  const status = join(pgWal, 'archive_status', name);
  renameSync(`${status}.ready`, `${status}.done`);
}

function push(path: string, args: Partial<WalPushArguments> = {}, target: Store = store) {
  const context = testContext({ store: target });
  const status = run({ walSegment: path, poolSize: 32, ...args }, context);
  return { status, context };
}

async function archived(name: string): Promise<Buffer> {
  const object = await store.get(walKey(name), { signal: new AbortController().signal });
  if (object === undefined) throw new Error(`${name} is not archived`);
  const chunks = [];
  for await (const chunk of decodeLzop(object.body)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const archivedNames = () =>
  existsSync(join(folder, 'archive/wal_005')) ? readdirSync(join(folder, 'archive/wal_005')).sort() : [];
const statusFiles = () => readdirSync(join(pgWal, 'archive_status')).sort();
const notes = () =>
  existsSync(join(pgWal, '.wal-e/pushed')) ? readdirSync(join(pgWal, '.wal-e/pushed')).sort() : [];
const failure = async (status: Promise<number>): Promise<UserError> => {
  const error = await status.then(
    (value) => new Error(`exited with ${value}`),
    (reason: unknown) => reason,
  );
  if (error instanceof UserError) return error;
  throw error;
};

describe('wal-push of one file', () => {
  it.each([1, 2, 16, 64])('archives a segment of %i MB', async (megabytes) => {
    const path = addSegment(FIRST, 7, megabytes * MB);
    expect(await push(path).status).toBe(0);
    expect((await archived(FIRST)).equals(readFileSync(path))).toBe(true);
  });

  it.each([
    ['00000002.history', '1\t0/3000000\tno recovery target specified\n'],
    [`${FIRST}.00000028.backup`, 'START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n'],
  ])('archives %s', async (name, text) => {
    writeFileSync(join(pgWal, name), text);
    expect(await push(join(pgWal, name)).status).toBe(0);
    expect((await archived(name)).toString()).toBe(text);
  });

  it('archives a partial segment, which is whole in size', async () => {
    writeFileSync(join(pgWal, `${FIRST}.partial`), segmentBytes(FIRST, MB, 3));
    expect(await push(join(pgWal, `${FIRST}.partial`)).status).toBe(0);
    expect(archivedNames()).toEqual([`${FIRST}.partial.lzo`]);
  });

  it('writes what lzop writes about the file: its mode and its time', async () => {
    const path = addSegment(FIRST);
    utimesSync(path, 1_600_000_000, 1_600_000_000);
    await push(path).status;
    const object = readFileSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`));
    expect(object.readUInt32BE(21)).toBe(statSync(path).mode);
    expect(object.readUInt32BE(25)).toBe(1_600_000_000);
  });

  it('logs what the original logs', async () => {
    const path = addSegment(FIRST);
    const { status, context } = push(path);
    await status;
    const url = `file://localhost${folder}/archive/wal_005/${FIRST}.lzo`;
    const fields = { action: 'push-wal', key: url, prefix: `${folder.slice(1)}/archive/`, seg: FIRST };
    expect(context.records).toMatchObject([
      {
        logger: 'wal_e.worker.upload',
        level: 'INFO',
        message: 'begin archiving a file',
        detail: `Uploading "${path}" to "${url}".`,
        structured: { ...fields, state: 'begin' },
      },
      {
        message: 'completed archiving to a file',
        detail: expect.stringMatching(/^Archiving to ".*" complete at [\d.e+]+KiB\/s\.$/),
        structured: { ...fields, state: 'complete', rate: expect.any(String) },
      },
    ]);
  });

  it('never touches the bookkeeping of the named file', async () => {
    addReady([FIRST]);
    await push(join(pgWal, FIRST), { markDone: true }).status;
    expect(statusFiles()).toEqual([`${FIRST}.ready`]);
  });
});

describe('a file that is archived already', () => {
  it('is a success when the content is the same', async () => {
    const path = addSegment(FIRST);
    await push(path).status;
    const before = statSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`));
    const { status, context } = push(path);
    expect(await status).toBe(0);
    expect(context.records.at(-1)?.message).toBe('the file was archived before');
    expect(statSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`)).ino).toBe(before.ino);
  });

  it.each(['one byte differs', 'it is shorter', 'it is longer'])(
    'is an error that names both and changes nothing when %s',
    async (difference) => {
      const path = addSegment(FIRST);
      const other = segmentBytes(FIRST, MB, 1);
      other[MB - 1] = 1;
      const content =
        difference === 'it is shorter'
          ? other.subarray(0, MB - 1)
          : difference === 'it is longer'
            ? Buffer.concat([readFileSync(path), Buffer.of(0)])
            : other;
      const object = Buffer.concat(await collectPacked(content));
      await store.put(walKey(FIRST), [object], {
        createOnly: true,
        contentType: 'application/octet-stream',
        signal: new AbortController().signal,
      });
      const error = await failure(push(path).status);
      expect(error.exitStatus).toBe(1);
      expect(error.message).toBe('the archive holds another content under this name');
      expect(error.detail).toContain(path);
      expect(error.detail).toContain(`${store.url}/wal_005/${FIRST}.lzo`);
      expect(readFileSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`)).equals(object)).toBe(true);
    },
  );

  it('is an error when what is there cannot be read', async () => {
    const path = addSegment(FIRST);
    mkdirSync(join(folder, 'archive/wal_005'), { recursive: true });
    writeFileSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`), 'not an lzop file');
    const error = await failure(push(path).status);
    expect(error.message).toContain('cannot be compared');
    expect(readFileSync(join(folder, 'archive/wal_005', `${FIRST}.lzo`), 'utf8')).toBe('not an lzop file');
  });

  it('is settled by the store when two pushes race: one content is archived, the other is refused', async () => {
    const elsewhere = join(folder, 'other');
    mkdirSync(elsewhere);
    const ours = addSegment(FIRST, 1);
    const theirs = join(elsewhere, FIRST);
    writeFileSync(theirs, segmentBytes(FIRST, MB, 2));
    const results = await Promise.allSettled([push(ours).status, push(theirs).status]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const winner = results[0]?.status === 'fulfilled' ? ours : theirs;
    expect((await archived(FIRST)).equals(readFileSync(winner))).toBe(true);
  });
});

describe('a bad file is refused, and nothing is stored', () => {
  const cases: Record<string, () => string> = {
    'a segment of another name': () => {
      writeFileSync(join(pgWal, FIRST), segmentBytes('000000010000000000000004', MB, 1));
      return FIRST;
    },
    'a cut segment': () => {
      writeFileSync(join(pgWal, FIRST), segmentBytes(FIRST, MB, 1).subarray(0, MB - 8192));
      return FIRST;
    },
    'a segment with something behind it': () => {
      addSegment(FIRST);
      appendFileSync(join(pgWal, FIRST), 'x');
      return FIRST;
    },
    'a segment of zeros': () => {
      writeFileSync(join(pgWal, FIRST), Buffer.alloc(MB));
      return FIRST;
    },
    'an empty segment': () => {
      writeFileSync(join(pgWal, FIRST), '');
      return FIRST;
    },
    'a cut partial segment': () => {
      writeFileSync(join(pgWal, `${FIRST}.partial`), segmentBytes(FIRST, MB, 1).subarray(0, 8192));
      return `${FIRST}.partial`;
    },
    'a history file of zeros': () => {
      writeFileSync(join(pgWal, '00000002.history'), Buffer.alloc(50));
      return '00000002.history';
    },
    'an empty history file': () => {
      writeFileSync(join(pgWal, '00000002.history'), '');
      return '00000002.history';
    },
    'a backup label as large as a segment': () => {
      writeFileSync(join(pgWal, `${FIRST}.00000028.backup`), Buffer.alloc(2 * MB, 'a'));
      return `${FIRST}.00000028.backup`;
    },
    'a file that PostgreSQL never archives': () => {
      writeFileSync(join(pgWal, 'RECOVERYXLOG'), segmentBytes(FIRST, MB, 1));
      return 'RECOVERYXLOG';
    },
    'a folder': () => {
      mkdirSync(join(pgWal, FIRST));
      return FIRST;
    },
  };

  it.each(Object.keys(cases))('%s', async (title) => {
    const name = cases[title]?.() ?? '';
    const error = await failure(push(join(pgWal, name)).status);
    expect(error.exitStatus).toBe(1);
    expect(error.detail ?? error.message).toContain(name === 'RECOVERYXLOG' ? name : '');
    expect(archivedNames()).toEqual([]);
  });

  it('a segment that never held any WAL, with the word on how archiving goes on', async () => {
    writeFileSync(join(pgWal, FIRST), Buffer.alloc(MB));
    const error = await failure(push(join(pgWal, FIRST)).status);
    expect(error.message).toBe(`not the WAL segment ${FIRST}`);
    expect(error.hint).toContain(`remove "archive_status/${FIRST}.ready"`);
  });

  it('a file that is not there, with the message of the original', async () => {
    const path = join(pgWal, FIRST);
    const error = await failure(push(path).status);
    expect(error.message).toBe('could not find file for wal-push');
    expect(error.detail).toBe(`The operating system reported: No such file or directory '${path}'`);
    expect(error.exitStatus).toBe(1);
  });
});

describe('neighbours', () => {
  const names = [FIRST, ...followingSegments(FIRST, 11, MB)];
  const others = names.slice(1);

  it.each([
    ['with --mark-done', true, names.map((name, index) => `${name}.${index === 0 ? 'ready' : 'done'}`), []],
    ['with --no-mark-done', false, names.map((name) => `${name}.ready`), others],
    ['by default under anything but the archiver', undefined, names.map((name) => `${name}.ready`), others],
  ])('are archived %s, and accounted for accordingly', async (_, markDone, status, noted) => {
    addReady(names);
    expect(await push(join(pgWal, FIRST), { markDone }).status).toBe(0);
    expect(archivedNames()).toEqual(names.map((name) => `${name}.lzo`));
    for (const name of names)
      expect((await archived(name)).equals(readFileSync(join(pgWal, name)))).toBe(true);
    expect(statusFiles()).toEqual(status);
    expect(notes()).toEqual(noted);
  });

  it('are no more than the pool holds, oldest first', async () => {
    addReady(names);
    await push(join(pgWal, names[5] ?? ''), { poolSize: 3 }).status;
    expect(archivedNames()).toEqual([names[0], names[1], names[5]].map((name) => `${name}.lzo`));
  });

  it.each([1, 0, -1])(
    'are left alone with a pool of %i, and archive_status is not read',
    async (poolSize) => {
      addReady(names);
      await push(join(pgWal, FIRST), { poolSize }).status;
      expect(archivedNames()).toEqual([`${FIRST}.lzo`]);
    },
  );

  it('are none without an archive_status folder', async () => {
    addReady([FIRST]);
    rmSync(join(pgWal, 'archive_status'), { recursive: true });
    expect(await push(join(pgWal, FIRST)).status).toBe(0);
  });

  it.each<[string, () => void]>([
    [
      'archive_status cannot be read',
      () => {
        rmSync(join(pgWal, 'archive_status'), { recursive: true });
        writeFileSync(join(pgWal, 'archive_status'), 'in the way');
      },
    ],
    [
      'a note cannot be removed',
      () => mkdirSync(join(pgWal, '.wal-e/pushed', 'folder'), { recursive: true }),
    ],
    ['notes cannot be written', () => writeFileSync(join(pgWal, '.wal-e'), 'in the way')],
  ])('never hold up the named file: %s', async (_, spoil) => {
    addReady([FIRST, ...followingSegments(FIRST, 1, MB)]);
    spoil();
    const context = testContext({ store });
    expect(await run({ walSegment: join(pgWal, FIRST), poolSize: 32, markDone: false }, context)).toBe(0);
    expect(archivedNames()).toContain(`${FIRST}.lzo`);
  });

  it('[wpush-14] are segments only', async () => {
    addReady([FIRST]);
    for (const name of ['00000002.history', `${FIRST}.00000028.backup`, `${others[0]}.partial`]) {
      writeFileSync(join(pgWal, name), 'text');
      writeFileSync(join(pgWal, 'archive_status', `${name}.ready`), '');
    }
    await push(join(pgWal, FIRST)).status;
    expect(archivedNames()).toEqual([`${FIRST}.lzo`]);
  });

  it('that were noted are answered without opening the store', async () => {
    addReady(names);
    await push(join(pgWal, FIRST)).status;
    const { status, context } = push(join(pgWal, names[3] ?? ''));
    expect(await status).toBe(0);
    expect(context.opened()).toBe(0);
    expect(context.records).toHaveLength(1);
  });

  it('that were noted are not archived again by the next call', async () => {
    addReady(names);
    await push(join(pgWal, FIRST), { poolSize: 4 }).status;
    setDone(FIRST);
    await push(join(pgWal, names[5] ?? ''), { poolSize: 4 }).status;
    expect(archivedNames()).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((index) => `${names[index]}.lzo`));
  });

  it.each(['content', 'time', 'inode'])(
    'that were noted are archived anew when their %s changed',
    async (what) => {
      addReady(names.slice(0, 2));
      await push(join(pgWal, FIRST)).status;
      const path = join(pgWal, names[1] ?? '');
      if (what === 'content') appendFileSync(path, 'x');
      if (what === 'time') utimesSync(path, 1, 1);
      if (what === 'inode') {
        writeFileSync(`${path}.new`, readFileSync(path));
        utimesSync(`${path}.new`, statSync(path).atime, statSync(path).mtime);
        renameSync(`${path}.new`, path);
      }
      const { status, context } = push(path);
      await status.catch(() => undefined);
      expect(context.opened()).toBe(1);
    },
  );

  it('that were noted for one archive are not answered for another', async () => {
    addReady(names.slice(0, 2));
    await push(join(pgWal, FIRST)).status;
    setDone(FIRST);
    const other = createFileStore(join(folder, 'other-archive'));
    await push(join(pgWal, names[1] ?? ''), {}, other).status;
    expect(readdirSync(join(folder, 'other-archive/wal_005'))).toEqual([`${names[1]}.lzo`]);
  });

  it('lose their notes once PostgreSQL no longer asks for them', async () => {
    addReady(names);
    await push(join(pgWal, FIRST)).status;
    for (const name of names.slice(0, 6)) setDone(name);
    const [late = ''] = followingSegments(names.at(-1) ?? '', 1, MB);
    addReady([late]);
    await push(join(pgWal, late)).status;
    expect(notes()).toEqual(others.slice(5));
  });

  it('that vanished are never marked, and do not fail the call', async () => {
    addReady(names);
    rmSync(join(pgWal, names[2] ?? ''));
    expect(await push(join(pgWal, FIRST), { markDone: true }).status).toBe(0);
    expect(statusFiles()).toContain(`${names[2]}.ready`);
    expect(statusFiles()).toContain(`${names[3]}.done`);
  });

  it('that are bad are never marked or noted, and do not fail the call', async () => {
    addReady(names);
    appendFileSync(join(pgWal, names[4] ?? ''), 'x');
    const { status, context } = push(join(pgWal, FIRST), { markDone: true });
    expect(await status).toBe(0);
    expect(statusFiles()).toContain(`${names[4]}.ready`);
    expect(archivedNames()).not.toContain(`${names[4]}.lzo`);
    const warning = context.records.find(({ level }) => level === 'WARNING');
    expect(warning?.detail).toContain(names[4]);
  });

  it('whose put fails are never marked or noted, keep later ones from being marked, and do not fail the call', async () => {
    addReady(names);
    const failing: Store = {
      ...store,
      put: (key, body, options) =>
        key === walKey(names[3] ?? '')
          ? Promise.reject(new StoreError('the store is ill', { transient: false }))
          : store.put(key, body, options),
    };
    expect(await push(join(pgWal, FIRST), { markDone: true }, failing).status).toBe(0);
    const waiting = [FIRST, ...names.slice(3)].map((name) => `${name}.ready`);
    expect(statusFiles().filter((name) => name.endsWith('.ready'))).toEqual(waiting);
    expect(notes()).toEqual(names.slice(4));
  });

  it('are marked only behind the named one: until then they are noted', async () => {
    addReady(names);
    const gate = new EventEmitter();
    const allStored = once(gate, 'all');
    let stored = 0;
    const failing: Store = {
      ...store,
      async put(key, body, options) {
        if (key !== walKey(FIRST)) {
          const result = await store.put(key, body, options);
          stored += 1;
          if (stored === others.length) gate.emit('all');
          return result;
        }
        await allStored;
        throw new StoreError('the store is ill', { transient: false });
      },
    };
    await failure(push(join(pgWal, FIRST), { markDone: true }, failing).status);
    expect(statusFiles()).toEqual(names.map((name) => `${name}.ready`));
    expect(notes()).toEqual(others);
  });

  it('do not help when the named one fails', async () => {
    addReady(names);
    const failing: Store = {
      ...store,
      put: (key, body, options) =>
        key === walKey(FIRST)
          ? Promise.reject(new StoreError('the store is ill', { transient: false }))
          : store.put(key, body, options),
    };
    const error = await failure(push(join(pgWal, FIRST), { markDone: true }, failing).status);
    expect(error.message).toBe('the store is ill');
    expect(statusFiles()).toContain(`${FIRST}.ready`);
    for (const name of statusFiles().filter((file) => file.endsWith('.done'))) {
      expect(archivedNames()).toContain(name.replace('.done', '.lzo'));
    }
  });
});

describe('a stop signal', () => {
  it('fails the call, and leaves nothing half done', async () => {
    addReady([FIRST, ...followingSegments(FIRST, 5, MB)]);
    const controller = new AbortController();
    class Interrupted extends UserError {
      override readonly exitStatus = 143;
    }
    const slow: Store = {
      ...store,
      put: (key, body, options) => {
        controller.abort(new Interrupted('interrupted by SIGTERM'));
        return store.put(key, body, options);
      },
    };
    const context = testContext({ store: slow, signal: controller.signal });
    const pushed = run({ walSegment: join(pgWal, FIRST), poolSize: 32, markDone: true }, context);
    await expect(pushed).rejects.toThrow('interrupted by SIGTERM');
    expect(archivedNames()).toEqual([]);
    expect(statusFiles().filter((name) => name.endsWith('.done'))).toEqual([]);
  });
});

async function collectPacked(content: Buffer): Promise<Uint8Array[]> {
  const { encodeLzop } = await import('../../src/codec/encoder.ts');
  const chunks = [];
  for await (const chunk of encodeLzop([content], { mode: 0, mtimeSeconds: 0 })) chunks.push(chunk);
  return chunks;
}
