import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BackupName, partKey, sentinelKey, walKey } from '../../src/archive/layout.ts';
import { type BackupFetchArguments, run } from '../../src/commands/backup-fetch.ts';
import { DataError, UsageError, UserError } from '../../src/errors.ts';
import { writeMarker } from '../../src/restore/marker.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { controlFile, leastMembers, storeBackup, storePart } from '../harness/backup.ts';
import { testContext } from '../harness/context.ts';
import { PLAIN_FETCH } from '../harness/fetch-arguments.ts';
import { compress } from '../harness/lzop.ts';
import { canMount, mountSmall } from '../harness/mount.ts';
import { poll } from '../harness/poll.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { transactionSegment } from '../harness/segment.ts';
import { file, folder, tarOf } from '../harness/tar.ts';

const MARKER = 'wal-e-restore-incomplete.json';
const call = { signal: new AbortController().signal };

let scratch: string;
let store: Store;
let data: string;
beforeEach(() => {
  scratch = createScratch();
  store = createFileStore(join(scratch, 'archive'));
  data = join(scratch, 'restored');
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

async function fetch(args: Partial<BackupFetchArguments> = {}, from = store, signal = call.signal) {
  const context = testContext({ store: from, signal });
  const status = await run(
    {
      clusterDirectory: data,
      ...PLAIN_FETCH,
      ...args,
    },
    context,
  );
  expect(status).toBe(0);
  return { printed: context.printed.join(''), records: context.records };
}

/** Three parts; the first holds what a server needs. */
async function threeParts(own?: false) {
  const extra = (n: number) => [
    file(`base/${n}`, seededBytes(700_000, n)),
    file(`base/${n}_fsm`, seededBytes(10, n)),
  ];
  return storeBackup(store, {
    parts: [leastMembers(), extra(2), extra(3)],
    ...(own === false ? { own } : {}),
  });
}

/** Until the file system's clock shows another millisecond than for what was written so far. */
async function passed(): Promise<void> {
  const probe = join(scratch, 'probe');
  const now = () => {
    writeFileSync(probe, '');
    const { ctimeMs } = statSync(probe);
    rmSync(probe);
    return Math.floor(ctimeMs);
  };
  const before = now();
  await poll('the next moment', () => now() > before);
}

async function brokenRestore(error: Promise<unknown>) {
  await expect(error).rejects.toThrow(UserError);
  expect(existsSync(join(data, 'global/pg_control'))).toBe(false);
  expect(existsSync(join(data, MARKER))).toBe(true);
}

/** The store, counting the parts it hands out. */
function counting(inner: Store): { readonly store: Store; readonly gets: string[] } {
  const gets: string[] = [];
  return {
    gets,
    store: {
      ...inner,
      get: (key, options) => {
        if (key.includes('tar_partitions')) gets.push(key.slice(-12, -8));
        return inner.get(key, options);
      },
    },
  };
}

describe('a restore', () => {
  it.each([undefined, false] as const)(
    'yields the members, pg_control and no marker (own facts: %s)',
    async (own) => {
      await threeParts(own);
      const { printed, records } = await fetch();
      expect(records.at(-1)).toMatchObject({
        message: 'completed the restore',
        detail: expect.stringMatching(/^Restored "base_\w+": 1\.4 MB in .+ \(.+\/s\)\.$/),
      });
      expect(readFileSync(join(data, 'global/pg_control')).equals(controlFile())).toBe(true);
      expect(readFileSync(join(data, 'base/2')).equals(seededBytes(700_000, 2))).toBe(true);
      expect(readdirSync(data).sort()).toEqual([
        'PG_VERSION',
        'backup_label',
        'base',
        'global',
        'pg_tblspc',
        'pg_wal',
      ]);
      expect(readdirSync(join(data, 'global'))).toEqual(['pg_control']);
      expect(statSync(data).mode & 0o777).toBe(0o700);
      expect(printed).toMatch(/postgresql\.conf, pg_hba\.conf, pg_ident\.conf/);
      expect(printed).toMatch(/restore_command = '.*wal-fetch "%f" "%p"'/);
    },
  );

  it('makes the folders above its target open to others, and the target private', async () => {
    await threeParts();
    await fetch({ clusterDirectory: join(scratch, 'a/b/data') });
    expect(statSync(join(scratch, 'a/b/data')).mode & 0o777).toBe(0o700);
    expect(statSync(join(scratch, 'a')).mode & 0o055).toBe(0o055);
  });

  it.runIf(process.getuid?.() === 0)('gives files to their owner by name, else by number', async () => {
    const owned = (name: string, userName: string, groupName: string) => ({
      ...file(name, 'x'),
      ...{ uid: 54_321, gid: 54_322, userName, groupName },
    });
    const known = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
    const group = execFileSync('id', ['-gn', 'nobody'], { encoding: 'utf8' }).trim();
    await storeBackup(store, {
      parts: [
        [...leastMembers(), owned('known', 'nobody', group), owned('unknown', 'nobody-by-this-name', '')],
      ],
    });
    await fetch();
    expect(statSync(join(data, 'known'))).toMatchObject({ uid: known('-u'), gid: known('-g') });
    expect(statSync(join(data, 'unknown'))).toMatchObject({ uid: 54_321, gid: 54_322 });
  });

  it('shows its plan, and writes nothing, with --dry-run', async () => {
    const { name } = await threeParts();
    const { printed } = await fetch({ dryRun: true });
    expect(printed).toContain(name);
    expect(printed).toMatch(/3, .* in the store, 1\.4 MB restored/);
    expect(existsSync(data)).toBe(false);
  });
});

describe('the name', () => {
  it.each(['latest', 'base_x', '', 'base_00000001000000000000000B_00000040x'])(
    'cannot be %j',
    async (backupName) => {
      await expect(fetch({ backupName })).rejects.toThrow('invalid backup query submitted');
    },
  );

  it("may not be one of WAL-G's own, of which LATEST warns", async () => {
    const foreign = 'base_000000010000000000000009';
    await expect(fetch({ backupName: foreign })).rejects.toThrow('WAL-G in its own format');
    await threeParts();
    const path = join(scratch, 'archive/basebackups_005', `${foreign}_backup_stop_sentinel.json`);
    writeFileSync(path, '{"LSN": 150994984}');
    const { records } = await fetch();
    expect(records.find(({ message }) => message.includes('WAL-G'))).toMatchObject({
      level: 'WARNING',
      detail: 'The archive holds 1 of them, the last one from 000000010000000000000009 on.',
    });
  });

  it('must be that of a complete backup', async () => {
    await expect(fetch()).rejects.toThrow('no backups found for fetching');
    const { name } = await threeParts();
    await store.remove([sentinelKey(name)], call);
    await expect(fetch()).rejects.toThrow('no backups found for fetching');
    await expect(fetch({ backupName: name })).rejects.toThrow('no backups found for fetching');
  });
});

describe('before a byte is written', () => {
  const untouched = async (error: Promise<unknown>, type: typeof UserError = UserError) => {
    await expect(error).rejects.toThrow(type);
    expect(existsSync(join(data, MARKER))).toBe(false);
  };

  it('every part is there, with its size', async () => {
    const { name, parts } = await threeParts();
    await storePart(store, name, 1, parts[1]?.subarray(1) ?? Buffer.alloc(0));
    await untouched(fetch(), DataError);
    await store.remove([partKey(name, 1)], call);
    await expect(fetch()).rejects.toMatchObject({ detail: expect.stringContaining('part 1 is missing') });
    expect(existsSync(data)).toBe(false);
  });

  it("the numbers of the original's parts run without a gap", async () => {
    const { name } = await threeParts(false);
    await store.remove([partKey(name, 1)], call);
    await untouched(fetch(), DataError);
  });

  it('the target is empty, unless --force, which removes nothing that is not in the backup', async () => {
    await threeParts();
    mkdirSync(join(data, 'base'), { recursive: true });
    writeFileSync(join(data, 'base/2'), 'older');
    writeFileSync(join(data, 'mine'), 'kept');
    await untouched(fetch());
    expect(readFileSync(join(data, 'base/2'), 'utf8')).toBe('older');
    await fetch({ force: true });
    expect(readFileSync(join(data, 'mine'), 'utf8')).toBe('kept');
    expect(statSync(join(data, 'base/2')).size).toBe(700_000);
  });

  it('never starts from the label or the map of another backup that lies in the target', async () => {
    await storeBackup(store, { parts: [leastMembers().filter(({ name }) => name !== 'backup_label')] });
    mkdirSync(data);
    for (const name of ['backup_label', 'tablespace_map']) writeFileSync(join(data, name), 'of another');
    await expect(fetch({ force: true })).rejects.toThrow('the base backup holds no backup_label');
    expect(existsSync(join(data, 'global/pg_control'))).toBe(false);
    expect(existsSync(join(data, 'tablespace_map'))).toBe(false);
  });

  it('nothing behind a link in the target is touched, also with --force', async () => {
    await threeParts();
    const elsewhere = createScratch();
    writeFileSync(join(elsewhere, 'pg_control'), 'of another cluster');
    mkdirSync(data);
    symlinkSync(elsewhere, join(data, 'global'));
    await expect(fetch({ force: true })).rejects.toThrow('not a directory');
    expect(readdirSync(elsewhere)).toEqual(['pg_control']);
  });

  it('no server runs on the target, also with --force', async () => {
    await threeParts();
    mkdirSync(data);
    writeFileSync(join(data, 'postmaster.pid'), '1');
    await untouched(fetch({ force: true }));
  });

  it('a server or another restore that came into the target meanwhile is seen', async () => {
    await threeParts();
    const arriving = (name: string, text: string): Store => ({
      ...store,
      list: (prefix, options) => {
        mkdirSync(data, { recursive: true });
        writeFileSync(join(data, name), text);
        return store.list(prefix, options);
      },
    });
    await expect(fetch({}, arriving('postmaster.pid', '1'))).rejects.toThrow('a live data directory');
    rmSync(data, { recursive: true });
    await expect(fetch({}, arriving('PG_VERSION', '14'))).rejects.toThrow('is not empty');
    expect(readdirSync(data)).toEqual(['PG_VERSION']);
  });

  it('a restore that was killed when it had come to its end is told to be whole', async () => {
    await threeParts();
    await fetch();
    const again: unknown = await fetch().catch((error: unknown) => error);
    expect(again).toMatchObject({
      message: 'the target of the restore is not empty',
      hint: expect.stringContaining(`it had come to its end: what it did not complete holds ${MARKER}`),
    });
    rmSync(join(data, 'backup_label'));
    await expect(fetch()).rejects.toMatchObject({ hint: expect.not.stringContaining('end') });
  });

  it('with --force, WAL that lies in the target is told of', async () => {
    await threeParts();
    mkdirSync(join(data, 'pg_wal'), { recursive: true });
    for (const name of ['000000010000000000000008', '000000010000000000000009'])
      writeFileSync(join(data, 'pg_wal', name), '');
    const { records } = await fetch({ force: true });
    expect(records.find(({ message }) => message === 'WAL of another time lies in the target')).toMatchObject(
      {
        level: 'WARNING',
        detail: `"${data}/pg_wal" holds 2 segments, 000000010000000000000008 to 000000010000000000000009.`,
      },
    );
  });

  it('with --force, files of another time that the server would take for its own are told of', async () => {
    const { name, parts } = await threeParts();
    const warnings = ({ records }: Awaited<ReturnType<typeof fetch>>) =>
      records
        .filter(({ message }) => message.startsWith('files of another time'))
        .map(({ detail }) => detail);
    mkdirSync(join(data, 'base'), { recursive: true });
    for (const path of ['postgresql.conf', 'base/2', 'base/PG_VERSION']) writeFileSync(join(data, path), '');
    await passed();
    const told = ['1 files in folders of the server are older than this restore: "base/PG_VERSION".'];
    expect(warnings(await fetch({ force: true }))).toEqual(told);
    expect(readdirSync(join(data, 'base'))).toContain('PG_VERSION');

    // A run that goes on knows which were there before the first one.
    await storePart(store, name, 2, Buffer.alloc(parts[2]?.length ?? 0));
    await brokenRestore(fetch({ force: true, poolSize: 1 }));
    await storePart(store, name, 2, (await freshParts())[2] ?? Buffer.alloc(0));
    await passed();
    expect(warnings(await fetch())).toEqual([expect.stringContaining('"base/PG_VERSION"')]);

    rmSync(join(data, 'base'), { recursive: true });
    await passed();
    expect(warnings(await fetch({ force: true }))).toEqual([]);
  });

  it('there is room for it', async () => {
    await storeBackup(store, { parts: [leastMembers()], expandedSizeBytes: 2 ** 52 });
    await expect(fetch()).rejects.toThrow('not enough free space');
    expect(existsSync(data)).toBe(false);
  });

  it('there is room on each file system for what goes there, as far as the sentinel tells', async ({
    skip,
  }) => {
    const memory = '/dev/shm';
    const [here, there] = [statfsSync(scratch), existsSync(memory) ? statfsSync(memory) : undefined];
    if (there === undefined || statSync(memory).dev === statSync(scratch).dev)
      return skip('there is no second file system');
    const place = mkdtempSync(join(memory, 'wale-test-'));
    try {
      const oid = '16384';
      // Not what is free there, which other programs change.
      const most = there.blocks * there.bsize;
      const recipe = {
        parts: [leastMembers()],
        tablespaces: new Map([[oid, '/source/one']]),
        expandedSizeBytes: most + 2 ** 20,
      };
      if (here.bavail * here.bsize < 2 * most) return skip('the second file system is not the smaller one');
      await storeBackup(store, { ...recipe, own: { tablespaceBytes: new Map([[oid, most + 2 ** 20]]) } });
      const tablespace = [`${oid}=${join(place, 'one')}`];
      await expect(fetch({ tablespace, dryRun: true })).rejects.toMatchObject({
        message: 'not enough free space for the restore',
        detail: expect.stringContaining(`What goes to "${place}" needs`),
      });
      await fetch({ tablespace: [`${oid}=${join(scratch, 'one')}`], dryRun: true });
      // Where nothing is known of tablespaces, only the whole can be too large.
      await storeBackup(store, recipe);
      await fetch({ tablespace, dryRun: true });
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  it('the command line makes sense', async () => {
    await threeParts();
    await untouched(fetch({ targetTime: '2026-11-21T08:00:00Z' }), UsageError);
    await untouched(fetch({ standby: true }), UsageError);
    await untouched(fetch({ recoveryConf: true, standby: true, targetLsn: '0/1' }), UsageError);
    await untouched(fetch({ blindRestore: true, restoreSpec: 'SOURCE' }), UsageError);
  });
});

describe('tablespaces', () => {
  const MAP = '16384 /source/one\n16385 /source/two\n';
  const withTablespaces = () =>
    storeBackup(store, {
      parts: [
        [...leastMembers(), file('tablespace_map', MAP)],
        [
          file('pg_tblspc/16384/PG_14/1', 'one'),
          folder('pg_tblspc/16385'),
          file('pg_tblspc/16385/PG_14/2', 'two'),
        ],
      ],
      tablespaces: new Map([
        ['16384', '/source/one'],
        ['16385', '/source/two'],
      ]),
    });
  const places = () => [join(scratch, 'one'), join(scratch, 'two')] as const;
  const expectPlaced = (one: string, two: string) => {
    expect(readFileSync(join(one, 'PG_14/1'), 'utf8')).toBe('one');
    expect(readFileSync(join(two, 'PG_14/2'), 'utf8')).toBe('two');
    expect(readlinkSync(join(data, 'pg_tblspc/16384'))).toBe(one);
    expect(readFileSync(join(data, 'tablespace_map'), 'utf8')).toBe(`16384 ${one}\n16385 ${two}\n`);
    expect(statSync(two).mode & 0o777).toBe(0o700);
  };

  it('without a place are refused before anything is written', async () => {
    await withTablespaces();
    await expect(fetch()).rejects.toThrow('Symlinks for some tablespaces not found or created.');
    await expect(fetch({ tablespace: ['1=/somewhere'] })).rejects.toMatchObject({
      detail: 'The backup has no tablespace 1. It has 16384, 16385.',
    });
    expect(existsSync(data)).toBe(false);
  });

  it('go where --tablespace says', async () => {
    await withTablespaces();
    const [one, two] = places();
    await fetch({ tablespace: [`16384=${one}`, `16385=${two}/`] });
    expectPlaced(one, two);
  });

  it('go where links were prepared', async () => {
    await withTablespaces();
    const [one, two] = places();
    mkdirSync(join(data, 'pg_tblspc'), { recursive: true });
    for (const [oid, place] of [
      ['16384', one],
      ['16385', two],
    ] as const) {
      mkdirSync(place);
      symlinkSync(place, join(data, 'pg_tblspc', oid));
    }
    await fetch();
    expectPlaced(one, two);
  });

  it('go where a restore spec says', async () => {
    await withTablespaces();
    const [one, two] = places();
    const spec = join(scratch, 'spec.json');
    writeFileSync(
      spec,
      JSON.stringify({
        tablespaces: ['16384', '16385'],
        '16384': { loc: `${one}/`, link: 'pg_tblspc/16384' },
        '16385': { loc: `${two}/`, link: 'pg_tblspc/16385' },
      }),
    );
    await fetch({ restoreSpec: spec });
    expectPlaced(one, two);
  });

  it('go into the data directory with --blind-restore, by a link, for PostgreSQL starts on no folder there', async () => {
    await withTablespaces();
    await fetch({ blindRestore: true });
    expectPlaced(join(data, 'tablespaces/16384'), join(data, 'tablespaces/16385'));
  });

  it('never go where something lies, as the live tablespace of the source', async () => {
    await withTablespaces();
    const [one, two] = places();
    mkdirSync(one);
    writeFileSync(join(one, 'live'), '');
    await expect(fetch({ tablespace: [`16384=${one}`, `16385=${two}`] })).rejects.toThrow(UserError);
    expect(existsSync(data)).toBe(false);
  });

  it('that the map alone knows are left out of it: the source is never touched', async () => {
    await storeBackup(store, { parts: [[...leastMembers(), file('tablespace_map', '999 /source/live\n')]] });
    const { records } = await fetch();
    expect(readFileSync(join(data, 'tablespace_map'), 'utf8')).toBe('');
    expect(records.some(({ level, detail }) => level === 'WARNING' && detail?.includes('999'))).toBe(true);
  });
});

describe('symbolic links of the archive', () => {
  const link = (name: string, linkName: string) => ({ name, type: '2', linkName });
  it('are made at the end; one for the WAL becomes a directory, for the source may still use its own', async () => {
    await storeBackup(store, {
      parts: [
        [
          ...leastMembers().filter(({ name }) => name !== 'pg_wal'),
          link('pg_wal', '/srv/wal'),
          link('server.key', 'base/1'),
          link('server.crt', '/etc/ssl/certs/cert.pem'),
        ],
      ],
    });
    const { records } = await fetch();
    expect(statSync(join(data, 'pg_wal')).isDirectory()).toBe(true);
    expect(readlinkSync(join(data, 'server.key'))).toBe('base/1');
    expect(readlinkSync(join(data, 'server.crt'))).toBe('/etc/ssl/certs/cert.pem');
    expect(records.filter(({ level }) => level === 'WARNING').map(({ detail }) => detail)).toEqual([
      'Missing: 000000010000000000000003.',
      '"pg_wal" led to "/srv/wal".',
      '"server.crt" leads to "/etc/ssl/certs/cert.pem".',
    ]);
  });

  it("never lead out of folders that are the server's own, nor are made through one another", async () => {
    const outside = join(scratch, 'outside');
    mkdirSync(outside);
    await storeBackup(store, { parts: [[...leastMembers(), link('base/1', '../../outside/x')]] });
    await brokenRestore(fetch());
    rmSync(data, { recursive: true });
    await storeBackup(store, { parts: [[...leastMembers(), link('way', '..'), link('way/outside/x', 'y')]] });
    await brokenRestore(fetch());
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe('a damaged part', () => {
  /** Hands out `bytes` instead of part 1 the first `times` times. */
  const damaging = (bytes: Uint8Array, times: number): Store => {
    let left = times;
    return {
      ...store,
      get: async (key, options) => {
        const found = await store.get(key, options);
        if (found === undefined || !key.includes('part_00000001') || left <= 0) return found;
        left -= 1;
        for await (const _ of found.body) break;
        return { ...found, body: chunk(bytes) };
      },
    };
  };

  it.each(['flipped', 'cut', 'swapped'])('[bfetch-14] is fetched again when it is %s', async (kind) => {
    const { parts } = await threeParts();
    const whole = parts[1] ?? Buffer.alloc(0);
    const flipped = Buffer.from(whole);
    flipped[300_000] = (flipped[300_000] ?? 0) ^ 1;
    const swapped = compress(tarOf([file('base/2', 'not it')]));
    const bytes = { flipped, cut: whole.subarray(0, 400_000), swapped }[kind] ?? whole;
    const { records } = await fetch({}, damaging(bytes, 2));
    expect(records.filter(({ message }) => message === 'fetching a part again')).toHaveLength(2);
    expect(readFileSync(join(data, 'base/2')).equals(seededBytes(700_000, 2))).toBe(true);
  });

  it('that stays damaged fails the restore, naming the object, and leaves a target that cannot be started', async () => {
    const { parts, name } = await threeParts(false);
    const broken = parts[1]?.subarray(0, 400_000) ?? Buffer.alloc(0);
    await storePart(store, name, 1, broken);
    await brokenRestore(fetch());
    rmSync(data, { recursive: true });
    await expect(fetch()).rejects.toMatchObject({
      message: 'a part of the base backup could not be restored',
      detail: expect.stringContaining(`${store.url}/${partKey(name, 1)}`),
    });
  });

  it('that is whole but not the one that was stored is found by its sha256', async () => {
    const { name, parts, sentinel } = await threeParts();
    const other = compress(
      tarOf([file('base/2', seededBytes(700_000, 9)), file('base/2_fsm', seededBytes(10, 9))]),
    );
    expect(sentinel.own?.parts[1]?.size).toBe(parts[1]?.length);
    const padded = Buffer.alloc(parts[1]?.length ?? 0);
    other.copy(padded);
    await storePart(
      store,
      name,
      1,
      padded.length >= other.length ? padded : other.subarray(0, padded.length),
    );
    await brokenRestore(fetch());
  });
});

describe('a run that was broken off', () => {
  it('is gone on with: complete parts are not fetched again', async () => {
    const { name, parts } = await threeParts();
    await storePart(store, name, 2, (parts[2] ?? Buffer.alloc(0)).fill(0, 200_000, 200_100));
    await brokenRestore(fetch({ poolSize: 1 }));
    const marker = JSON.parse(readFileSync(join(data, MARKER), 'utf8'));
    expect(marker.note).toMatch(/incomplete/);
    await storePart(store, name, 2, (await freshParts())[2] ?? Buffer.alloc(0));
    const counted = counting(store);
    const { printed } = await fetch({ dryRun: true }, counted.store);
    expect(printed).toMatch(/resumed +\d part/);
    await fetch({}, counted.store);
    const done = marker.parts.map(({ number }: { number: number }) => String(number).padStart(4, '0'));
    expect(done.length).toBeGreaterThan(0);
    expect(counted.gets.filter((part) => done.includes(part))).toEqual([]);
    expect(readFileSync(join(data, 'base/3')).equals(seededBytes(700_000, 3))).toBe(true);
    expect(existsSync(join(data, MARKER))).toBe(false);
  });

  it.each([undefined, false] as const)(
    'fetches a part again whose object is another one now, of the same size (own facts: %s)',
    async (own) => {
      const recipe = (seed: number) => ({
        parts: [
          leastMembers(),
          [file('base/2', seededBytes(700_000, seed))],
          [file('base/3', seededBytes(9, 3))],
        ],
        ...(own === false ? { own } : {}),
      });
      const { name, parts } = await storeBackup(store, recipe(2));
      await storePart(store, name, 2, Buffer.alloc(parts[2]?.length ?? 0));
      await brokenRestore(fetch({ poolSize: 1 }));
      await storeBackup(store, recipe(22));
      await fetch();
      expect(readFileSync(join(data, 'base/2')).equals(seededBytes(700_000, 22))).toBe(true);
    },
  );

  it('refuses what it would leave of parts that are other objects now', async () => {
    const recipe = (name: string) => ({
      parts: [leastMembers(), [file(name, seededBytes(9, 2))], [file('base/3', seededBytes(9, 3))]],
    });
    const { name, parts } = await storeBackup(store, recipe('base/2'));
    await storePart(store, name, 2, Buffer.alloc(parts[2]?.length ?? 0));
    await brokenRestore(fetch({ poolSize: 1 }));
    await storeBackup(store, recipe('base/4'));
    await expect(fetch()).rejects.toThrow('files of parts that are other objects by now');
    rmSync(data, { recursive: true });
    await fetch();
    expect(readdirSync(join(data, 'base')).sort()).toEqual(['3', '4']);
  });

  it('finds a file that is in two parts, one of them of the run before', async () => {
    const twice = {
      parts: [leastMembers(), [file('base/2', seededBytes(9, 2))], [file('base/2', seededBytes(9, 3))]],
    };
    const { name, parts } = await storeBackup(store, twice);
    await storePart(store, name, 2, Buffer.alloc(parts[2]?.length ?? 0));
    await brokenRestore(fetch({ poolSize: 1 }));
    await storeBackup(store, twice);
    await expect(fetch()).rejects.toMatchObject({
      message: expect.stringContaining('twice'),
      detail: expect.stringMatching(/hold 5 files, of which 4 are there/),
    });
    await brokenRestore(fetch());
  });

  it('is gone on with from its very last step, when only the marker is left to be removed', async () => {
    const { name, sentinel } = await threeParts();
    await fetch();
    await writeMarker(data, {
      backup: name,
      process: { host: 'another', pid: 1 },
      tablespaces: new Map(),
      parts: new Map(
        sentinel.own?.parts.map(({ number, size, sha256 }) => [number, { size, mark: sha256, files: 0 }]),
      ),
      links: [],
    });
    await passed();
    writeFileSync(join(data, 'postmaster.opts'), 'postgres');
    await expect(fetch()).rejects.toThrow('a server has run in the target since it was restored');
    expect(existsSync(join(data, 'global/pg_control'))).toBe(true);
    rmSync(join(data, 'postmaster.opts'));
    const { records } = await fetch();
    const told = records.find(({ message }) => message === 'going on with a restore that another host began');
    expect(told).toMatchObject({
      level: 'WARNING',
      detail: expect.stringContaining('process 1 of host another'),
    });
    expect(readFileSync(join(data, 'global/pg_control')).equals(controlFile())).toBe(true);
    expect(existsSync(join(data, MARKER))).toBe(false);
  });

  it('is begun anew where it was killed before its marker was there, and nothing of it stays', async () => {
    await threeParts();
    mkdirSync(data);
    writeFileSync(join(data, `${MARKER}.0`), '{"note":');
    await fetch();
    expect(readdirSync(data).filter((name) => name.startsWith(MARKER))).toEqual([]);
  });

  it.each([true, false])(
    'leaves nothing of the files that a killed run was writing, whether it writes them (%s) or not',
    async (recoveryConf) => {
      const { name, parts } = await threeParts();
      await storePart(store, name, 2, Buffer.alloc(parts[2]?.length ?? 0));
      await brokenRestore(fetch({ poolSize: 1 }));
      for (const begun of ['postgresql.auto.conf', 'recovery.signal'])
        writeFileSync(join(data, `${begun}.wal-e-new`), 'restore_comm');
      await threeParts();
      await fetch({ recoveryConf });
      const written = ['postgresql.auto.conf', 'recovery.signal'];
      const there = readdirSync(data).filter((entry) => /auto\.conf|signal|wal-e/.test(entry));
      expect(there.sort()).toEqual(recoveryConf ? written : []);
    },
  );

  it('leaves its links to the run that ends it', async () => {
    const link = { name: 'server.key', type: '2', linkName: 'base' };
    const recipe = { parts: [[...leastMembers(), link], [file('base/2', seededBytes(900_000, 2))]] };
    const { name, parts } = await storeBackup(store, recipe);
    await storePart(store, name, 1, Buffer.alloc(parts[1]?.length ?? 0));
    await brokenRestore(fetch({ poolSize: 2 }));
    await storeBackup(store, recipe);
    await fetch();
    expect(readlinkSync(join(data, 'server.key'))).toBe('base');
  });

  it('is not mixed with another backup, nor with other places for tablespaces', async () => {
    const { name } = await threeParts();
    await storePart(store, name, 2, Buffer.alloc(10));
    await storeBackup(store, { parts: [leastMembers()], segment: '000000010000000000000009' });
    mkdirSync(data);
    writeFileSync(
      join(data, MARKER),
      JSON.stringify({ backup: name, host: 'elsewhere', pid: 1, tablespaces: [], parts: [], links: [] }),
    );
    const other = 'base_000000010000000000000009_00000040' as BackupName;
    await expect(fetch({ backupName: other })).rejects.toThrow('incomplete restore of something else');
    const one = join(scratch, 'one');
    writeFileSync(
      join(data, MARKER),
      JSON.stringify({
        backup: other,
        host: 'elsewhere',
        pid: 1,
        tablespaces: [{ oid: '16384', location: one }],
        parts: [],
        links: [],
      }),
    );
    await expect(fetch({ backupName: other })).rejects.toMatchObject({
      detail: `"${data}" holds a restore with other places for tablespaces: 16384=${one}.`,
    });
    await fetch({ backupName: other, force: true });
    expect(existsSync(join(data, MARKER))).toBe(false);
  });

  it('is not gone on with while it still runs', async () => {
    const { name } = await threeParts();
    // A process that looks like one of ours to whoever asks the system.
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'backup-fetch'], {
      stdio: 'ignore',
    });
    await once(other, 'spawn');
    mkdirSync(data);
    const marker = { backup: name, host: hostname(), pid: other.pid, tablespaces: [], parts: [], links: [] };
    writeFileSync(join(data, MARKER), JSON.stringify(marker));
    try {
      await expect(fetch()).rejects.toThrow('another backup-fetch is restoring into the same directory');
      await expect(fetch({ force: true })).rejects.toThrow('another backup-fetch');
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
    await fetch();
  });

  it('ends soon after an abort, with its reason, and can be gone on with', async () => {
    await threeParts();
    const aborted = new AbortController();
    const slow: Store = {
      ...store,
      get: async (key, options) => {
        if (key.includes('part_00000002')) aborted.abort(new UserError('interrupted'));
        return store.get(key, options);
      },
    };
    await expect(fetch({}, slow, aborted.signal)).rejects.toThrow('interrupted');
    expect(existsSync(join(data, 'global/pg_control'))).toBe(false);
    await fetch();
    expect(existsSync(join(data, 'global/pg_control'))).toBe(true);
  });
});

describe('an archive that cannot be right', () => {
  it('a member twice, in two parts', async () => {
    await storeBackup(store, { parts: [leastMembers(), [file('base/1', 'a')], [file('base/1', 'b')]] });
    await expect(fetch()).rejects.toMatchObject({ detail: expect.stringContaining('twice') });
  });

  it('fewer members or bytes than the sentinel says', async () => {
    const { sentinel } = await threeParts();
    const parts = (sentinel.own?.parts ?? []).map((part) => ({ ...part, members: part.members + 1 }));
    await storeBackup(store, {
      parts: [leastMembers(), [file('base/2', 'x')], [file('base/3', 'x')]],
      own: { parts: parts.slice(0, 0) },
    });
    await expect(fetch()).rejects.toThrow(DataError);
  });

  it.each([
    ['no pg_control', 'global/pg_control'],
    ['no backup_label', 'backup_label'],
  ])('%s', async (what, left) => {
    await storeBackup(store, { parts: [leastMembers().filter(({ name }) => name !== left)] });
    await brokenRestore(fetch());
    expect(what).toContain(left.slice(-5));
  });

  it.each(['', '\n', '14; rm -rf /', 'x'.repeat(100)])('a PG_VERSION that is %j', async (text) => {
    const members = leastMembers().filter(({ name }) => name !== 'PG_VERSION');
    await storeBackup(store, { parts: [[...members, file('PG_VERSION', text)]] });
    const error = fetch({ recoveryConf: true });
    await brokenRestore(error);
    await expect(error).rejects.toThrow('the base backup holds no PG_VERSION');
  });

  it.each([
    'wal-e-restore-incomplete.json',
    'wal-e-restore-incomplete.json.new',
    'global/pg_control.wal-e-restore',
  ])('a member %s, whose name the restore itself uses', async (name) => {
    for (const member of [file(name, '{}'), folder(name), { name, type: '2', linkName: '/etc/passwd' }]) {
      await storeBackup(store, { parts: [[...leastMembers(), member]] });
      await expect(fetch()).rejects.toMatchObject({
        detail: expect.stringContaining('the restore itself uses'),
      });
      rmSync(data, { recursive: true });
    }
  });

  it.each(['global/pg_control', 'PG_VERSION', 'backup_label', 'tablespace_map'])(
    'a link or a folder in place of %s',
    async (name) => {
      const others = leastMembers().filter((member) => member.name !== name);
      for (const member of [folder(name), { name, type: '2', linkName: '/etc/hostname' }]) {
        await storeBackup(store, { parts: [[...others, member]] });
        await expect(fetch()).rejects.toMatchObject({
          detail: expect.stringContaining('it must be a file'),
        });
        rmSync(data, { recursive: true });
      }
    },
  );

  it('links by which the restore would write or read outside when it writes its own files', async () => {
    const precious = join(scratch, 'precious');
    writeFileSync(precious, "secret = 'x'\n");
    const link = (name: string) => ({ name, type: '2', linkName: precious });
    const temporary = [
      'tablespace_map.wal-e-new',
      'postgresql.auto.conf.wal-e-new',
      'recovery.signal.wal-e-new',
      'recovery.signal',
    ];
    await storeBackup(store, {
      parts: [[...leastMembers(), file('tablespace_map', '999 /source/live\n'), ...temporary.map(link)]],
    });
    await fetch({ recoveryConf: true });
    expect(readFileSync(join(data, 'tablespace_map'), 'utf8')).toBe('');
    expect(lstatSync(join(data, 'recovery.signal')).isFile()).toBe(true);
    rmSync(data, { recursive: true });
    await storeBackup(store, { parts: [[...leastMembers(), link('postgresql.auto.conf')]] });
    await brokenRestore(fetch({ recoveryConf: true }));
    expect(readFileSync(precious, 'utf8')).toBe("secret = 'x'\n");
  });

  it('a hostile member, which is not fetched again', async () => {
    await storeBackup(store, { parts: [leastMembers(), [file('../escaped', 'x')]] });
    const counted = counting(store);
    await expect(fetch({}, counted.store)).rejects.toMatchObject({
      message: 'refusing a member of the base backup',
      detail: expect.stringContaining('part_00000001.tar.lzo'),
    });
    expect(counted.gets.filter((part) => part === '0001')).toHaveLength(1);
    expect(existsSync(join(scratch, 'escaped'))).toBe(false);
  });
});

describe('--recovery-conf', () => {
  it.runIf(canMount())('that finds the disk full changes no file, and is gone on with', async () => {
    const before = `${'# '.repeat(150_000)}\n`;
    await storeBackup(store, { parts: [[...leastMembers(), file('postgresql.auto.conf', before)]] });
    await storeWal('000000010000000000000003');
    const mount = join(createScratch(), 'small');
    mkdirSync(mount);
    // For the members, but not for a second copy of the settings.
    mountSmall(mount, 512 * 1024);
    data = join(mount, 'data');
    const wishes = { clusterDirectory: data, recoveryConf: true };
    await expect(fetch(wishes)).rejects.toMatchObject({
      message: 'could not write to the target of the restore',
      detail: expect.stringMatching(/^ENOSPC: /),
      hint: 'Make room and run the command again: it goes on with the parts that are not there yet.',
    });
    expect(readFileSync(join(data, 'postgresql.auto.conf'), 'utf8')).toBe(before);
    expect(readdirSync(data).filter((name) => /wal-e|signal/.test(name))).toEqual([MARKER]);
    expect(existsSync(join(data, 'global/pg_control'))).toBe(false);
    execFileSync('mount', ['-o', 'remount,size=2m', mount]);
    const counted = counting(store);
    await fetch(wishes, counted.store);
    expect(counted.gets).toEqual([]);
    const after = readFileSync(join(data, 'postgresql.auto.conf'), 'utf8');
    expect(after.startsWith(before)).toBe(true);
    expect(after).toContain('\nrestore_command = ');
    expect(readdirSync(data).filter((name) => /wal-e|signal/.test(name))).toEqual(['recovery.signal']);
  });

  it('writes the settings and the signal before the server can be started', async () => {
    await threeParts();
    await storeWal('000000010000000000000003');
    const { printed } = await fetch({ recoveryConf: true, targetTime: '2026-11-21T08:00:00Z' });
    const conf = readFileSync(join(data, 'postgresql.auto.conf'), 'utf8');
    expect(conf).toMatch(/^restore_command = '.* --file-prefix=file:.* wal-fetch "%f" "%p"'$/m);
    expect(conf).toContain("recovery_target_time = '2026-11-21 08:00:00+00'");
    expect(existsSync(join(data, 'recovery.signal'))).toBe(true);
    expect(printed).toContain('postgresql.auto.conf and recovery.signal');
  });

  it('refuses a backup that was finished after the target', async () => {
    const { name } = await threeParts();
    const early = { recoveryConf: true, targetTime: '2026-11-21T06:00:00Z' };
    await expect(fetch(early)).rejects.toThrow('no backup is old enough for the target');
    await expect(fetch({ ...early, backupName: name })).rejects.toThrow('finished after the target');
    expect(existsSync(data)).toBe(false);
  });
});

async function storeWal(...names: readonly string[]): Promise<void> {
  const how = { ...call, createOnly: false, contentType: 'application/octet-stream' } as const;
  for (const name of names) await store.put(walKey(name), [compress(Buffer.from('WAL'))], how);
}

describe('the WAL', () => {
  const recovery = { recoveryConf: true };
  const first = '000000010000000000000003';

  it('from start to stop is in the archive, or a warning names what is missing', async () => {
    await threeParts();
    const { records } = await fetch();
    expect(records.find(({ level }) => level === 'WARNING')?.detail).toBe(`Missing: ${first}.`);
    rmSync(data, { recursive: true });
    await storeWal(first);
    expect((await fetch()).records.filter(({ level }) => level === 'WARNING')).toEqual([]);
  });

  it('must reach to an LSN without a gap, or the restore is refused with the reason', async () => {
    await threeParts();
    await storeWal(first, '000000010000000000000004', '000000010000000000000006');
    await fetch({ ...recovery, targetLsn: '0/4FFFFFF', dryRun: true });
    await expect(fetch({ ...recovery, targetLsn: '0/6000028' })).rejects.toMatchObject({
      message: 'the archive does not reach to the LSN 0/6000028',
      detail:
        'Along timeline 1 the archive has a gap after 000000010000000000000004: 000000010000000000000005.',
    });
    await storeWal('000000010000000000000005');
    await fetch({ ...recovery, targetLsn: '0/6000028', dryRun: true });
    await expect(fetch({ ...recovery, targetLsn: '0/7000028' })).rejects.toMatchObject({
      detail: 'Along timeline 1 the archive ends with 000000010000000000000006.',
    });
    expect(existsSync(data)).toBe(false);
  });

  it('must have been stored up to a time', async () => {
    await threeParts();
    await storeWal(first);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    await expect(fetch({ ...recovery, targetTime: later })).rejects.toMatchObject({
      detail: expect.stringMatching(
        /^Along timeline 1 the archive ends with 000000010000000000000003, which was stored at /,
      ),
    });
    await fetch({ ...recovery, targetTime: new Date().toISOString(), dryRun: true });
    await storeWal('000000010000000000000005');
    await expect(fetch({ ...recovery, targetTime: later })).rejects.toMatchObject({
      detail: expect.stringMatching(
        /^Along timeline 1 the archive has a gap after 000000010000000000000003, which was stored at 20\S+Z: 000000010000000000000004\.$/,
      ),
    });
  });

  it('with a gap ends recovery there, of which a restore to the end warns', async () => {
    await threeParts();
    await storeWal(first, '000000010000000000000005');
    const { printed, records } = await fetch({ ...recovery, dryRun: true });
    expect(records.filter(({ level }) => level === 'WARNING')).toMatchObject([
      {
        message: 'the archive has a gap, and recovery ends before it',
        detail: expect.stringMatching(
          /^Along timeline 1 it gets to 000000010000000000000003 \(stored at 20\S+Z\)\. Missing: 000000010000000000000004\.$/,
        ),
      },
    ]);
    expect(printed).toMatch(/; the archive reaches to 000000010000000000000003 \(stored at 20\S+Z\)$/m);
    await storeWal('000000010000000000000004');
    const whole = await fetch({ ...recovery, dryRun: true });
    expect(whole.records.filter(({ level }) => level === 'WARNING')).toEqual([]);
    expect(whole.printed).toContain('the archive reaches to 000000010000000000000005');
  });

  it('that is missing from start to stop stands in the plan', async () => {
    await threeParts();
    await storeWal('000000010000000000000004');
    const { printed } = await fetch({ ...recovery, dryRun: true });
    expect(printed).toContain(`along timeline 1 to the end of the WAL; MISSING: ${first}`);
  });

  describe('of a timeline that was given up', () => {
    const minute = (n: number) => new Date(Date.UTC(2026, 10, 21, 8, n));
    /** Timeline 2 leaves 1 in its segment 5, is begun at 08:30, and has gone on since. */
    async function branched(...abandoned: readonly string[]) {
      await threeParts();
      const names = [first, '000000010000000000000004', ...abandoned];
      await storeWal(...names, '000000020000000000000005', '00000002.history');
      await store.put(walKey('00000002.history'), [compress(Buffer.from('1\t0/5000100\tno reason\n'))], {
        ...call,
        createOnly: false,
        contentType: 'application/octet-stream',
      });
      for (const [i, name] of names.entries())
        utimesSync(join(scratch, 'archive', walKey(name)), minute(i), minute(i));
      utimesSync(join(scratch, 'archive', walKey('00000002.history')), minute(30), minute(30));
    }
    const warnings = async (time: Date, timeline?: string) =>
      (
        await fetch({
          ...recovery,
          targetTime: time.toISOString(),
          targetTimeline: timeline,
          dryRun: true,
        })
      ).records.filter(({ level }) => level === 'WARNING');

    it('a time warns that recovery follows the other, and says how to follow this one', async () => {
      await branched('000000010000000000000005', '000000010000000000000006');
      expect(await warnings(minute(3))).toMatchObject([
        {
          message: 'at the time of the target the server was on another timeline',
          detail:
            'Timeline 2 left timeline 1 at 0/5000100; its history was stored at 2026-11-21T08:30:00.000Z, after the target. What timeline 1 did after that position until then is not recovered.',
          hint: 'With --target-timeline 1 it is.',
        },
      ]);
      expect(await warnings(minute(3), '1')).toEqual([]);
      expect(await warnings(minute(3), 'current')).toEqual([]);
    });

    it('a time before the branch, or after it was begun, is on the way', async () => {
      await branched('000000010000000000000005', '000000010000000000000006');
      expect(await warnings(minute(1))).toEqual([]);
      expect(await warnings(minute(31))).toEqual([]);
    });

    /** Behind 0/5000000; the branch is at 0/5000100. */
    it.each([
      [
        'nothing behind the branch by then',
        [
          [0x80, 2],
          [0x200, 4],
        ],
        0,
      ],
      [
        'a transaction before the branch that ended later',
        [
          [0x80, 4],
          [0x200, 2],
        ],
        0,
      ],
      [
        'a rollback behind the branch by then',
        [
          [0x80, 2],
          [0x200, 2, 'rollback'],
          [0x300, 4],
        ],
        0,
      ],
      [
        'a commit at the branch by then',
        [
          [0x80, 2],
          [0x100, 3],
        ],
        1,
      ],
      [
        'a commit behind the branch by then',
        [
          [0x80, 2],
          [0x200, 2, 'rollback'],
          [0x300, 3],
        ],
        1,
      ],
    ] as const)('one segment tells both sides: %s', async (_, records, count) => {
      await branched('000000010000000000000005', '000000010000000000000006');
      const segment = transactionSegment(
        '000000010000000000000005',
        records.map(([at, time, end]) => ({ at, time: minute(time), committed: end === undefined })),
      );
      const key = walKey('000000010000000000000005');
      await store.put(key, [compress(segment)], {
        ...call,
        createOnly: false,
        contentType: 'application/octet-stream',
      });
      expect(await warnings(minute(3))).toHaveLength(count);
    });

    it.each([
      [[], 0],
      [['000000010000000000000006'], 1],
    ])('nothing behind the branch in its segment: the next one may hold it (%j)', async (next, count) => {
      await branched('000000010000000000000005', ...next);
      const segment = transactionSegment('000000010000000000000005', [
        { at: 0x80, time: minute(2), committed: true },
      ]);
      await store.put(walKey('000000010000000000000005'), [compress(segment)], {
        ...call,
        createOnly: false,
        contentType: 'application/octet-stream',
      });
      expect(await warnings(minute(3))).toHaveLength(count);
    });

    it('nothing is lost where it did not go on', async () => {
      await branched();
      expect(await warnings(minute(3))).toEqual([]);
    });

    it('one that the archive does not know is named, not taken for an old backup', async () => {
      await branched();
      await expect(fetch({ ...recovery, targetTimeline: '3', dryRun: true })).rejects.toMatchObject({
        message: 'the archive has no timeline 3',
      });
    });
  });

  it('must lead to the timeline', async () => {
    await threeParts();
    await storeWal(first, '000000010000000000000004', '000000020000000000000004');
    const history = (lsn: string) =>
      store.put(
        walKey('00000002.history'),
        [compress(Buffer.from(`1\t${lsn}\tno recovery target specified\n`))],
        {
          ...call,
          createOnly: false,
          contentType: 'application/octet-stream',
        },
      );
    await history('0/4000100');
    const { printed } = await fetch({ ...recovery, dryRun: true });
    expect(printed).toContain(
      'along timeline 2 to the end of the WAL; the archive reaches to 000000020000000000000004',
    );
    expect((await fetch({ ...recovery, targetTimeline: 'current', dryRun: true })).printed).toContain(
      'along timeline 1',
    );
    await expect(fetch({ ...recovery, targetTimeline: '3', dryRun: true })).rejects.toThrow(UserError);
    await history('0/3000050');
    await expect(fetch({ ...recovery, dryRun: true })).rejects.toMatchObject({
      message: 'the timeline cannot be reached from the backup',
    });
    await expect(fetch({ ...recovery, targetTimeline: '2', dryRun: true })).rejects.toThrow('old enough');
    await fetch({ ...recovery, targetTimeline: '1', dryRun: true });
  });
});

describe('LATEST', () => {
  const label = (finished: string) =>
    [
      `START TIME: ${finished} UTC`,
      `LABEL: freeze_start_${finished.replace(' ', 'T')}.000000+00:00`,
      `STOP TIME: ${finished} UTC`,
      '',
    ].join('\n');

  it("is not misled by the dates of a copied archive where the original's label files tell better", async () => {
    const backups = [
      ['000000010000000000000003', '2026-11-18 07:00:00'],
      ['000000010000000000000005', '2026-11-20 07:00:00'],
    ] as const;
    for (const [index, [segment, finished]] of backups.entries()) {
      const { name } = await storeBackup(store, { parts: [leastMembers()], segment, own: false });
      const object = join(scratch, 'archive', sentinelKey(name));
      // The copy went backwards.
      const date = new Date(`2026-11-21T0${9 - index}:00:00Z`);
      utimesSync(object, date, date);
      await store.put(walKey(`${segment}.00000028.backup`), [compress(Buffer.from(label(finished)))], {
        ...call,
        createOnly: false,
        contentType: 'application/octet-stream',
      });
    }
    expect((await fetch({ dryRun: true })).printed).toMatch(/^backup +base_000000010000000000000005_/);
  });
});

describe('LATEST with a target', () => {
  it('is the newest backup that was finished before it', async () => {
    await storeBackup(store, { parts: [leastMembers()], own: { finishTime: '2026-11-21T07:00:30Z' } });
    await storeBackup(store, {
      parts: [leastMembers()],
      segment: '000000010000000000000005',
      own: { finishTime: '2026-11-21T07:30:00Z' },
    });
    await storeWal(first3, '000000010000000000000004', '000000010000000000000005');
    const planned = async (args: Partial<BackupFetchArguments>) =>
      /backup +(\S+)/.exec((await fetch({ recoveryConf: true, dryRun: true, ...args })).printed)?.[1];
    expect(await planned({ targetTime: '2026-11-21T07:29:59Z' })).toContain(first3);
    expect(await planned({ targetTime: '2026-11-21T07:30:00Z' })).toContain('000000010000000000000005');
    expect(await planned({ targetLsn: '0/4500000' })).toContain(first3);
    expect(await planned({ targetLsn: '0/5500000' })).toContain('000000010000000000000005');
    await expect(planned({ targetName: 'x' })).rejects.toMatchObject({
      message: 'the archive holds no such restore point',
      detail: expect.stringContaining('along timeline 1'),
    });
  });
});

const first3 = '000000010000000000000003';

async function* chunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield Uint8Array.from(bytes);
}

async function freshParts(): Promise<readonly Buffer[]> {
  const elsewhere = createFileStore(join(scratch, 'elsewhere'));
  const extra = (n: number) => [
    file(`base/${n}`, seededBytes(700_000, n)),
    file(`base/${n}_fsm`, seededBytes(10, n)),
  ];
  return (await storeBackup(elsewhere, { parts: [leastMembers(), extra(2), extra(3)] })).parts;
}
