import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { Spool } from '../../src/archive/prefetch.ts';
import { encodeLzop } from '../../src/codec/encoder.ts';
import { run as fetch } from '../../src/commands/wal-fetch.ts';
import { run as prefetch } from '../../src/commands/wal-prefetch.ts';
import { StoreError, UserError } from '../../src/errors.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import type { Environment } from '../../src/settings/settings.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { download } from '../../src/wal/download.ts';
import { prefetch as fillSpool } from '../../src/wal/prefetching.ts';
import { testContext } from '../harness/context.ts';
import { segmentBytes } from '../harness/segment.ts';

const MB = 1024 * 1024;
const FIRST = '0000000100000000000000FD';

let folder: string;
let pgWal: string;
let destination: string;
let store: Store;
let home: string;

beforeEach(() => {
  home = process.cwd();
  folder = mkdtempSync(join(tmpdir(), 'wale-fetch-'));
  pgWal = join(folder, 'pg_wal');
  destination = join(pgWal, 'RECOVERYXLOG');
  mkdirSync(pgWal);
  mkdirSync(join(folder, 'archive'));
  store = createFileStore(join(folder, 'archive'));
  process.chdir(folder);
});

afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true, force: true });
});

async function put(name: string, content: Uint8Array): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of encodeLzop([content], { mode: 0, mtimeSeconds: 0 })) chunks.push(chunk);
  return putRaw(name, Buffer.concat(chunks));
}

async function putRaw(name: string, object: Buffer): Promise<Buffer> {
  const { signal } = new AbortController();
  await store.put(walKey(name), [object], {
    createOnly: false,
    contentType: 'application/octet-stream',
    signal,
  });
  return object;
}

async function putSegments(names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) await put(name, segmentBytes(name, MB, index + 1));
}

interface FetchOptions {
  readonly prefetch?: number;
  readonly environment?: Environment;
  readonly from?: Store;
}

function run(name: string, { prefetch: ahead = 0, environment = {}, from = store }: FetchOptions = {}) {
  const context = testContext({ store: from, environment });
  const status = fetch({ walSegment: name, walDestination: destination, prefetch: ahead }, context);
  return { status, context };
}

const failing = (error: Error): Store => ({ ...store, get: () => Promise.reject(error) });
const ill = new StoreError('the store is ill', { transient: false });
const filesLeft = () => readdirSync(pgWal).filter((name) => name !== '.wal-e');
const spooled = () =>
  readdirSync(join(pgWal, '.wal-e/prefetch'))
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort();
const running = () => readdirSync(join(pgWal, '.wal-e/prefetch/running'));

describe('wal-fetch of one file', () => {
  it.each([1, 16, 64])('fetches a segment of %i MB', async (megabytes) => {
    const name = '000000010000000000000003';
    const content = segmentBytes(name, megabytes * MB, 5);
    await put(name, content);
    expect(await run(name).status).toBe(0);
    expect(readFileSync(destination).equals(content)).toBe(true);
    // As PostgreSQL's own files: the umask decides about the group.
    expect(statSync(destination).mode & 0o777).toBe(0o640 & ~process.umask());
    expect(filesLeft()).toEqual(['RECOVERYXLOG']);
  });

  it('fetches a history file, and prefetches nothing for it', async () => {
    await put('00000002.history', Buffer.from('1\t0/3000000\tno recovery target specified\n'));
    expect(await run('00000002.history', { prefetch: 8 }).status).toBe(0);
    expect(readFileSync(destination, 'utf8')).toContain('no recovery target');
    expect(existsSync(join(pgWal, '.wal-e'))).toBe(false);
  });

  it('replaces what is at the destination', async () => {
    writeFileSync(destination, 'old');
    await putSegments([FIRST]);
    expect(await run(FIRST).status).toBe(0);
    expect(statSync(destination).size).toBe(MB);
  });

  it('logs what the original logs', async () => {
    await putSegments([FIRST]);
    const { status, context } = run(FIRST);
    await status;
    const key = `${store.url}/wal_005/${FIRST}.lzo`;
    const structured = { action: 'wal-fetch', key, prefix: `${folder.slice(1)}/archive/`, seg: FIRST };
    expect(context.records).toMatchObject([
      {
        logger: 'wal_e.operator.backup',
        message: 'begin wal restore',
        structured: { ...structured, state: 'begin' },
      },
      {
        message: 'completed download and decompression',
        detail: `Downloaded and decompressed "${key}" to "${destination}"`,
      },
      { message: 'complete wal restore', structured: { ...structured, state: 'complete' } },
    ]);
  });

  it('removes what a killed fetch to the same destination left, and nothing else', async () => {
    await putSegments([FIRST]);
    const dead = 4_194_304 + 17;
    writeFileSync(join(pgWal, `.RECOVERYXLOG.${dead}.wal-fetch`), 'cut');
    writeFileSync(join(pgWal, `.RECOVERYXLOG.${process.ppid}.wal-fetch`), 'of a live process');
    writeFileSync(join(pgWal, `.RECOVERYHISTORY.${dead}.wal-fetch`), 'of another destination');
    await run(FIRST).status;
    expect(filesLeft().sort()).toEqual([
      `.RECOVERYHISTORY.${dead}.wal-fetch`,
      `.RECOVERYXLOG.${process.ppid}.wal-fetch`,
      'RECOVERYXLOG',
    ]);
  });
});

describe('a file that the archive does not have', () => {
  beforeEach(() => putSegments(followingSegments(FIRST, 1, MB)));

  it.each([0, 8])('exits with 1 and says so as the original does, prefetching %i', async (ahead) => {
    const { status, context } = run(FIRST, { prefetch: ahead });
    expect(await status).toBe(1);
    expect(filesLeft()).toEqual([]);
    expect(context.records).toContainEqual(
      expect.objectContaining({
        level: 'INFO',
        message: 'could no longer locate object while performing wal restore',
        detail: `The absolute URI that could not be located is ${store.url}/wal_005/${FIRST}.lzo.`,
      }),
    );
  });

  it.each(['recovery.signal', 'standby.signal'])('exits with 1 with %s too', async (signal) => {
    writeFileSync(join(folder, signal), '');
    expect(await run(FIRST).status).toBe(1);
  });
});

describe('an archive of which nothing is there, as when its file system is not mounted', () => {
  it.each([
    ['recovery.signal', 200],
    ['standby.signal', 1],
    ['PG_VERSION', 2],
  ])('is a failure: with %s it exits with %i', async (file, expected) => {
    writeFileSync(join(folder, file), '');
    const { status, context } = run(FIRST);
    expect(await status).toBe(expected);
    expect(context.records.at(-1)).toMatchObject({
      level: 'ERROR',
      message: 'the directory of the storage prefix holds no archive',
    });
  });
});

describe('a segment of another database system', () => {
  const OWN = 7_000_000_000_000_000_001n;
  const FOREIGN = 7_000_000_000_000_000_002n;

  beforeEach(() => {
    mkdirSync(join(folder, 'global'));
    const control = Buffer.alloc(8192);
    control.writeBigUInt64LE(OWN);
    writeFileSync(join(folder, 'global', 'pg_control'), control);
    writeFileSync(join(folder, 'recovery.signal'), '');
  });

  it('stops the recovery, which PostgreSQL would end on it', async () => {
    await put(FIRST, segmentBytes(FIRST, MB, 1, { systemIdentifier: FOREIGN }));
    const { status, context } = run(FIRST);
    expect(await status).toBe(200);
    expect(filesLeft()).toEqual([]);
    expect(context.records.at(-1)).toMatchObject({
      message: `the WAL segment ${FIRST} belongs to another database system`,
      detail: `${store.url}/wal_005/${FIRST}.lzo: Its system identifier is ${FOREIGN}, that of the data directory is ${OWN}.`,
    });
  });

  it('is told from its own', async () => {
    await put(FIRST, segmentBytes(FIRST, MB, 1, { systemIdentifier: OWN }));
    expect(await run(FIRST).status).toBe(0);
  });

  it('is not taken from the spool', async () => {
    await put(FIRST, segmentBytes(FIRST, MB, 1, { systemIdentifier: OWN }));
    new Spool(pgWal, store.url).make();
    const foreign = segmentBytes(FIRST, MB, 2, { systemIdentifier: FOREIGN });
    writeFileSync(join(pgWal, '.wal-e/prefetch', FIRST), foreign);
    expect(await run(FIRST, { prefetch: 1 }).status).toBe(0);
    expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1, { systemIdentifier: OWN }))).toBe(
      true,
    );
  });

  it('comes through where the destination is in no data directory', async () => {
    rmSync(join(folder, 'global'), { recursive: true });
    await put(FIRST, segmentBytes(FIRST, MB, 1, { systemIdentifier: FOREIGN }));
    expect(await run(FIRST).status).toBe(0);
  });
});

describe('what another program has prefetched', () => {
  it('is removed and fetched again: nothing says from which archive it came', async () => {
    mkdirSync(join(pgWal, '.wal-e/prefetch'), { recursive: true });
    for (const name of followingSegments(FIRST, 1, MB).concat(FIRST))
      writeFileSync(join(pgWal, '.wal-e/prefetch', name), segmentBytes(name, MB, 9));
    await putSegments([FIRST]);
    expect(await run(FIRST, { prefetch: 1 }).status).toBe(0);
    expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1))).toBe(true);
    expect(spooled()).toEqual([]);
  });
});

describe('a failure is never taken for a missing file', () => {
  const modes: [string, Record<string, string>, number][] = [
    ['by hand', {}, 2],
    ['in archive recovery', { 'recovery.signal': '' }, 200],
    ['on a standby', { 'standby.signal': '' }, 1],
    ['on a standby that was asked to recover too', { 'standby.signal': '', 'recovery.signal': '' }, 1],
    ['in archive recovery before PostgreSQL 12', { 'recovery.conf': "restore_command = 'x'\n" }, 200],
    ['with standby_mode off', { 'recovery.conf': 'standby_mode = off\n' }, 200],
    ['with standby_mode in a comment', { 'recovery.conf': '#standby_mode = on\n' }, 200],
    ['with standby_mode on', { 'recovery.conf': "restore_command = 'x'\nstandby_mode = 'on'\n" }, 1],
    ['with standby_mode written freely', { 'recovery.conf': 'STANDBY_MODE  TRUE # yes\n' }, 1],
    ['with standby_mode switched off later', { 'recovery.conf': 'standby_mode=on\nstandby_mode=no\n' }, 200],
  ];

  it.each(modes)('%s', async (_, files, expected) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { status, context } = run(FIRST, { from: failing(ill) });
    expect(await status).toBe(expected);
    expect(context.records.at(-1)).toMatchObject({ level: 'ERROR', message: 'the store is ill' });
  });

  it.each(modes)(
    '%s, called from another folder, with the destination made absolute',
    async (_, files, expected) => {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
      process.chdir(tmpdir());
      expect(await run(FIRST, { from: failing(ill) }).status).toBe(expected);
    },
  );

  it('in the working directory before the folder of the destination', async () => {
    const standby = join(folder, 'standby');
    mkdirSync(standby);
    writeFileSync(join(folder, 'recovery.signal'), '');
    writeFileSync(join(standby, 'standby.signal'), '');
    process.chdir(standby);
    expect(await run(FIRST, { from: failing(ill) }).status).toBe(1);
  });

  it('where it cannot be read what the server does', async () => {
    mkdirSync(join(folder, 'recovery.conf'));
    expect(await run(FIRST, { from: failing(ill) }).status).toBe(200);
  });

  it('by hand, into a folder that is none', async () => {
    writeFileSync(join(folder, 'file'), '');
    destination = join(folder, 'file', 'deep', 'down');
    expect(await run(FIRST).status).toBe(2);
  });

  it('unless WALE_FETCH_ERROR_EXIT says what to exit with', async () => {
    writeFileSync(join(folder, 'recovery.signal'), '');
    const environment = { WALE_FETCH_ERROR_EXIT: '7' };
    expect(await run(FIRST, { environment, from: failing(ill) }).status).toBe(7);
  });

  it.each(['0', '256', 'x', '-1', '1.5'])('and WALE_FETCH_ERROR_EXIT=%s is refused', async (value) => {
    writeFileSync(join(folder, 'recovery.signal'), '');
    await putSegments([FIRST]);
    const { status, context } = run(FIRST, { environment: { WALE_FETCH_ERROR_EXIT: value } });
    expect(await status).toBe(200);
    expect(context.records.at(-1)?.message).toContain('WALE_FETCH_ERROR_EXIT');
  });

  it('also when it is a bug', async () => {
    writeFileSync(join(folder, 'recovery.signal'), '');
    const { status, context } = run(FIRST, { from: failing(new TypeError('a bug')) });
    expect(await status).toBe(200);
    expect(context.records.at(-1)?.level).toBe('CRITICAL');
  });

  it('but an interruption keeps its own status', async () => {
    class Interrupted extends UserError {
      override readonly exitStatus = 143;
    }
    const error = new Interrupted('interrupted by SIGTERM');
    expect(await run(FIRST, { from: failing(error) }).status).toBe(143);
  });

  it('[wfetch-19] is asked again when the store says that it may help', async () => {
    await putSegments([FIRST]);
    let calls = 0;
    const flaky: Store = {
      ...store,
      get: (key, call) => {
        calls += 1;
        return calls === 1
          ? Promise.reject(new StoreError('a hiccup', { transient: true }))
          : store.get(key, call);
      },
    };
    expect(await run(FIRST, { from: flaky }).status).toBe(0);
  });

  it.each(['', '../etc/passwd', '.hidden', 'a/b', 'a\nb'])('and %j is no name', async (name) => {
    expect(await run(name).status).toBe(2);
  });

  it('[wfetch-15] and neither is a destination without a folder', async () => {
    rmSync(pgWal, { recursive: true });
    await putSegments([FIRST]);
    expect(await run(FIRST).status).toBe(2);
    expect(await run(FIRST, { prefetch: 8 }).status).toBe(2);
  });
});

describe('a damaged object leaves no file and exits with a failure', () => {
  const whole = () => put(FIRST, segmentBytes(FIRST, MB, 1));
  const cases: Record<string, () => Promise<unknown>> = {
    'one bit is wrong': async () => {
      const object = Buffer.from(await whole());
      object.writeUInt8(object.readUInt8(1000) ^ 1, 1000);
      return putRaw(FIRST, object);
    },
    'it is cut in a block': async () => putRaw(FIRST, (await whole()).subarray(0, 1000)),
    'the end marker is missing': async () => putRaw(FIRST, (await whole()).subarray(0, -4)),
    'something follows the end marker': async () =>
      putRaw(FIRST, Buffer.concat([await whole(), Buffer.of(0)])),
    'two files are in it': async () => putRaw(FIRST, Buffer.concat([await whole(), await whole()])),
    'it is empty': () => putRaw(FIRST, Buffer.alloc(0)),
    'it is no lzop file': () => putRaw(FIRST, Buffer.from('<html>')),
    'the segment is another one': () => put(FIRST, segmentBytes('0000000100000000000000FE', MB, 1)),
    'the segment is cut before it was compressed': () =>
      put(FIRST, segmentBytes(FIRST, MB, 1).subarray(0, MB / 2)),
    'the segment is empty': () => put(FIRST, Buffer.alloc(0)),
    'the segment is zeros': () => put(FIRST, Buffer.alloc(MB)),
  };

  it.each(Object.keys(cases))('%s', async (title) => {
    await cases[title]?.();
    writeFileSync(join(folder, 'recovery.signal'), '');
    expect(await run(FIRST).status).toBe(200);
    expect(await run(FIRST, { prefetch: 2 }).status).toBe(200);
    expect(filesLeft()).toEqual([]);
  });

  it('and names the object, and the way out', async () => {
    await cases['one bit is wrong']?.();
    const { context, status } = run(FIRST);
    await status;
    expect(context.records.at(-1)).toMatchObject({
      level: 'ERROR',
      message: 'the compressed data is damaged',
      detail: expect.stringMatching(
        new RegExp(`^${store.url}/wal_005/${FIRST}\\.lzo: wrong checksum of a block, at byte \\d+$`),
      ),
      hint: expect.stringContaining('recovery ends before it'),
    });
  });

  it('and keeps what is at the destination', async () => {
    await putRaw(FIRST, Buffer.from('<html>'));
    writeFileSync(destination, 'old');
    await run(FIRST).status;
    expect(readFileSync(destination, 'utf8')).toBe('old');
  });
});

describe('prefetch', () => {
  const names = [FIRST, ...followingSegments(FIRST, 12, MB)];
  const ahead = (segment: string, count: number, from = store, segmentBytes = MB) => {
    const context = testContext({ store: from });
    return prefetch({ baseDirectory: pgWal, segment, count, segmentBytes }, context);
  };

  /** The store, where something happens when the segment is asked for. */
  const whenAsked = (name: string, happen: () => void): Store => ({
    ...store,
    get: (key, options) => {
      if (key === walKey(name)) happen();
      return store.get(key, options);
    },
  });

  it('fills the spool, across the end of a log file, for segments of every size', async () => {
    for (const size of [1, 16, 64]) {
      const first = size === 64 ? '00000001000000000000003E' : '0000000100000000000000FE';
      const wanted = [first, ...followingSegments(first, 3, size * MB)];
      for (const name of wanted) await put(name, segmentBytes(name, size * MB, 1));
      expect(await ahead(first, 4, store, size * MB)).toBe(0);
      expect(spooled()).toEqual(wanted);
      for (const name of wanted) expect(statSync(join(pgWal, '.wal-e/prefetch', name)).size).toBe(size * MB);
      expect(running()).toEqual([]);
      new Spool(pgWal, store.url).keepOnly([]);
    }
  });

  it('stops where the archive ends, and says so by its status only when it had nothing to do', async () => {
    await putSegments(names.slice(0, 3));
    expect(await ahead(FIRST, 8)).toBe(0);
    expect(spooled()).toEqual(names.slice(0, 3));
    expect(await ahead(names[3] ?? '', 8)).toBe(1);
    expect(running()).toEqual([]);
  });

  it('leaves nothing behind when the store fails', async () => {
    await expect(ahead(FIRST, 8, failing(ill))).rejects.toBe(ill);
    expect(spooled()).toEqual([]);
    expect(running()).toEqual([]);
    expect(new Spool(pgWal, store.url).hasLiveChild()).toBe(false);
  });

  it('never spools a damaged segment', async () => {
    await putSegments(names.slice(0, 4));
    await put(names[2] ?? '', segmentBytes(names[2] ?? '', MB, 3).subarray(0, MB / 2));
    await expect(ahead(FIRST, 8)).rejects.toThrow('not the WAL segment');
    expect(spooled()).not.toContain(names[2]);
    expect(running()).toEqual([]);
  });

  it('is one process at a time', async () => {
    await putSegments(names.slice(0, 3));
    const spool = new Spool(pgWal, store.url);
    spool.make();
    expect(spool.becomeChild()).toBe(true);
    expect(await ahead(FIRST, 8)).toBe(0);
    expect(spooled()).toEqual([]);
  });

  it.each([
    ['no one was', undefined],
    ['a dead one was', '999999999'],
  ])('leaves the work to one that has become the child a moment ago, where %s', async (_, dead) => {
    await putSegments(names.slice(0, 3));
    const child = join(pgWal, '.wal-e/prefetch/child');
    const other = String(process.ppid);
    class SlowSpool extends Spool {
      override hasLiveChild(): boolean {
        const isLive = super.hasLiveChild();
        writeFileSync(child, other);
        return isLive;
      }
    }
    const spool = new SlowSpool(pgWal, store.url);
    spool.make();
    if (dead !== undefined) writeFileSync(child, dead);
    expect(spool.becomeChild()).toBe(false);
    expect(readFileSync(child, 'utf8')).toBe(other);
    expect(readdirSync(join(child, '..')).filter((name) => name.startsWith('child.'))).toEqual([]);
  });

  it('takes the place of a dead one', async () => {
    const spool = new Spool(pgWal, store.url);
    spool.make();
    writeFileSync(join(pgWal, '.wal-e/prefetch/child'), '999999999');
    expect(spool.becomeChild()).toBe(true);
    expect(spool.hasLiveChild()).toBe(true);
  });

  it('goes on behind the segment that was asked for last', async () => {
    await putSegments(names);
    const spool = new Spool(pgWal, store.url);
    spool.make();
    spool.setPosition(names[2] ?? '');
    await ahead(names[3] ?? '', 4);
    expect(spooled()).toEqual(names.slice(3, 7));
  });

  it('turns to what follows where recovery has gone, when its segment is taken away', async () => {
    await putSegments(names);
    const spool = new Spool(pgWal, store.url);
    const jumping = whenAsked(FIRST, () => {
      spool.setPosition(names[6] ?? '');
      spool.keepOnly(names.slice(7, 11));
    });
    expect(await ahead(FIRST, 4, jumping)).toBe(0);
    expect(spooled()).toEqual(names.slice(7, 11));
    expect(running()).toEqual([]);
  });

  it('spools nothing that is no longer wanted when it is whole', async () => {
    await putSegments(names);
    const spool = new Spool(pgWal, store.url);
    const jumping = whenAsked(FIRST, () => spool.setPosition(names[6] ?? ''));
    expect(await ahead(FIRST, 4, jumping)).toBe(0);
    expect(spooled()).toEqual(names.slice(7, 11));
  });

  it('fetches one segment by hand, wherever recovery is', async () => {
    await putSegments(names);
    const spool = new Spool(pgWal, store.url);
    spool.make();
    spool.setPosition(names[6] ?? '');
    expect(await ahead(FIRST, 1)).toBe(0);
    expect(spooled()).toEqual([FIRST]);
    await expect(ahead(FIRST, 1, store, MB + 1)).rejects.toThrow('not the size of a WAL segment');
  });

  it('sees to what is asked for while it is about to end', async () => {
    await putSegments(names);
    class EndingSpool extends Spool {
      override childEnds(): void {
        if (this.position() === undefined) this.setPosition(names[2] ?? '');
        super.childEnds();
      }
    }
    const spool = new EndingSpool(pgWal, store.url);
    spool.make();
    expect(spool.becomeChild()).toBe(true);
    const source = { store, signal: new AbortController().signal };
    expect(await fillSpool(spool, { first: FIRST, count: 4, segmentBytes: MB }, source)).toBe(true);
    expect(spooled()).toEqual(names.slice(0, 7));
    expect(spool.hasLiveChild()).toBe(false);
  });

  it('serves wal-fetch: the segment is moved, without a look at the store', async () => {
    await putSegments(names);
    await ahead(FIRST, 4);
    const { status, context } = run(FIRST, { prefetch: 4 });
    expect(await status).toBe(0);
    expect(context.opened()).toBe(0);
    expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1))).toBe(true);
    expect(spooled()).toEqual(names.slice(1, 4));
    expect(context.records.map(({ message }) => message)).toContain('promoted prefetched wal segment');
  });

  it('is not used when none is asked for', async () => {
    await putSegments(names);
    await ahead(FIRST, 4);
    const { status, context } = run(FIRST, { prefetch: 0 });
    expect(await status).toBe(0);
    expect(context.opened()).toBe(1);
  });

  it.each(['cut', 'longer', 'of another name', 'empty'])(
    'gives way to the archive when the spooled segment is %s',
    async (how) => {
      await putSegments(names);
      await ahead(FIRST, 1);
      const path = join(pgWal, '.wal-e/prefetch', FIRST);
      if (how === 'cut') writeFileSync(path, readFileSync(path).subarray(0, MB / 2));
      if (how === 'longer') appendFileSync(path, 'x');
      if (how === 'of another name') writeFileSync(path, segmentBytes(names[1] ?? '', MB, 1));
      if (how === 'empty') writeFileSync(path, '');
      const { status, context } = run(FIRST, { prefetch: 4 });
      expect(await status).toBe(0);
      expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1))).toBe(true);
      expect(context.records.some(({ level }) => level === 'WARNING')).toBe(true);
    },
  );

  it('is cleared of what came from another archive, and takes nothing more from there', async () => {
    await putSegments(names);
    const other = new Spool(pgWal, 'file://localhost/another');
    other.make();
    expect(other.becomeChild()).toBe(true);
    for (const name of names.slice(0, 3)) writeFileSync(other.pathOf(name), segmentBytes(name, MB, 99));
    const late = other.claim(names[3] ?? '') ?? '';
    writeFileSync(late, segmentBytes(names[3] ?? '', MB, 99));

    expect(await run(FIRST, { prefetch: 4 }).status).toBe(0);
    expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1))).toBe(true);
    expect(spooled()).toEqual([]);
    expect(other.touchChild()).toBe(false);
    expect(other.publish(names[3] ?? '', late)).toBe(false);
    const again = other.claim(names[4] ?? '') ?? '';
    expect(other.publish(names[4] ?? '', again)).toBe(false);
    expect(spooled()).toEqual([]);
  });

  it('is not held up by what seems to come from the future, when the clock was set back', async () => {
    const spool = new Spool(pgWal, store.url);
    spool.make();
    expect(spool.becomeChild()).toBe(true);
    spool.setEnd(FIRST);
    expect([spool.hasLiveChild(), spool.isEnd(FIRST)]).toEqual([true, true]);
    const tomorrow = new Date(Date.now() + 86_400_000);
    for (const name of ['child', 'end']) utimesSync(join(pgWal, '.wal-e/prefetch', name), tomorrow, tomorrow);
    expect([spool.hasLiveChild(), spool.isEnd(FIRST)]).toEqual([false, false]);
  });

  it('[wfetch-16] is cleared of what is not wanted any more', async () => {
    await putSegments(names);
    await ahead(FIRST, 4);
    await run(names[9] ?? '', { prefetch: 4 }).status;
    expect(spooled()).toEqual([]);
  });

  it('[wfetch-17] waits for a segment that another process is fetching while it grows', async () => {
    await putSegments([FIRST]);
    const spool = new Spool(pgWal, store.url);
    spool.make();
    const claimed = spool.claim(FIRST) ?? '';
    const content = segmentBytes(FIRST, MB, 1);
    const { status, context } = run(FIRST, { prefetch: 1 });
    for (let at = 0; at < MB; at += MB / 16) {
      appendFileSync(claimed, content.subarray(at, at + MB / 16));
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    spool.publish(FIRST, claimed);
    expect(await status).toBe(0);
    expect(context.opened()).toBe(0);
  });

  it('does not wait for one that stands still, nor for one whose process is dead', async () => {
    await putSegments([FIRST]);
    const spool = new Spool(pgWal, store.url);
    spool.make();
    spool.claim(FIRST);
    expect(await run(FIRST, { prefetch: 1 }).status).toBe(0);

    rmSync(destination);
    const dead = join(pgWal, '.wal-e/prefetch/running', FIRST);
    mkdirSync(dead);
    writeFileSync(join(dead, String(4_194_304 + 17)), 'cut');
    expect(await run(FIRST, { prefetch: 1 }).status).toBe(0);
    expect(running()).toEqual([]);
  });

  it('does not keep a fetch from its work when the spool cannot be used', async () => {
    await putSegments([FIRST]);
    writeFileSync(join(pgWal, '.wal-e'), 'a file where the folder should be');
    const { status, context } = run(FIRST, { prefetch: 8 });
    expect(await status).toBe(0);
    expect(context.records.some(({ message }) => message === 'prefetch does not work')).toBe(true);
  });

  it.each([
    ['in the place of the segment', FIRST],
    ['in the place of what was asked for last', 'position'],
    ['in the place of the archive that it is of', 'archive'],
    ['in the place of the process that fills it', 'child'],
    ['in the place of its end', 'end'],
  ])('nor when a folder is %s', async (_, entry) => {
    await putSegments([FIRST]);
    new Spool(pgWal, store.url).make();
    const path = join(pgWal, '.wal-e/prefetch', entry);
    rmSync(path, { force: true });
    mkdirSync(join(path, 'with something in it'), { recursive: true });
    const { status, context } = run(FIRST, { prefetch: 8 });
    expect(await status, JSON.stringify(context.records)).toBe(0);
    expect(readFileSync(destination).equals(segmentBytes(FIRST, MB, 1))).toBe(true);
  });
});

describe('an object whose file cannot be made', () => {
  it('is let go', async () => {
    await putSegments([FIRST]);
    let isOpen = false;
    const watching: Store = {
      ...store,
      async get(key, call) {
        const found = await store.get(key, call);
        if (found === undefined) return undefined;
        isOpen = true;
        const body = async function* () {
          try {
            yield* found.body;
          } finally {
            isOpen = false;
          }
        };
        return { ...found, body: body() };
      },
    };
    const path = join(folder, 'no such folder', FIRST);
    const { signal } = new AbortController();
    await expect(download(FIRST, path, { store: watching, signal })).rejects.toThrow('could not write');
    expect(isOpen).toBe(false);
  });
});
