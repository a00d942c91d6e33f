import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listedKey, walKey } from '../../src/archive/layout.ts';
import { createFileStore } from '../../src/store/file.ts';
import { openFileStore } from '../../src/store/file-deadline.ts';
import type { Store } from '../../src/store/store.ts';
import { contents, storeContract } from '../contract/store.ts';
import { mountFuse } from '../harness/fuse.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;

storeContract('file', async () => {
  const root = mkdtempSync(join(tmpdir(), 'wale-file-store-'));
  const store = openFileStore(`${root}/made/on demand/`, { ms: 600_000 });
  return {
    store,
    close: async () => {
      await store.close();
      rmSync(root, { recursive: true });
    },
  };
});

describe('file store', () => {
  let root: string;
  let store: Store;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'wale-file-store-'));
    store = createFileStore(root);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('keeps an object as the plain file that the original would have written', async () => {
    await store.put(walKey('000000010000000000000001'), [Buffer.from('x')], createOnly);
    expect(readdirSync(`${root}/wal_005`)).toEqual(['000000010000000000000001.lzo']);
  });

  it('of several racing create-only puts exactly one stores its bytes', async () => {
    const key = walKey('000000010000000000000001');
    const racers = Array.from({ length: 8 }, (_, i) => [Buffer.from(`racer ${i}`)]);
    const results = await Promise.all(racers.map((body) => store.put(key, body, createOnly)));
    expect(results.filter((result) => result === 'stored')).toHaveLength(1);
    const winner = `racer ${results.indexOf('stored')}`;
    expect((await contents(await store.get(key, call))).toString()).toBe(winner);
    expect(readdirSync(`${root}/wal_005`)).toHaveLength(1);
  });

  it('says that the prefix is gone instead of answering "absent": a lost mount is not an empty archive', async () => {
    const gone = createFileStore(`${root}/not mounted`);
    await expect(gone.get(walKey('x'), call)).rejects.toThrow(
      'the directory of the storage prefix is not there',
    );
  });

  it('says that no archive is under the prefix, where a mount is gone and left its folder, or is another one', async () => {
    await expect(store.get(walKey('x'), call)).rejects.toThrow(
      'the directory of the storage prefix holds no archive',
    );
    mkdirSync(`${root}/lost+found`);
    await expect(store.get(walKey('x'), call)).rejects.toThrow('holds no archive');
    mkdirSync(`${root}/basebackups_005`);
    expect(await store.get(walKey('x'), call)).toBeUndefined();
  });

  it('asks before it makes the folder of a key, and never again', async () => {
    const asked: boolean[] = [];
    const onNewFolder = async () => {
      asked.push(existsSync(`${root}/wal_005`));
    };
    for (const name of ['a', 'b'])
      await store.put(walKey(name), [Buffer.from(name)], { ...createOnly, onNewFolder });
    expect(asked).toEqual([false]);
  });

  it.each<[string, string, () => void]>([
    [
      'an empty folder where a disk of its own was mounted',
      'a directory of the archive is empty',
      () => mkdirSync(`${root}/wal_005`),
    ],
    [
      'a link to a disk that is gone',
      'a directory of the archive cannot be read',
      () => symlinkSync(`${root}/gone/wal_005`, `${root}/wal_005`),
    ],
    ['a file in its place', 'could not open a file', () => writeFileSync(`${root}/wal_005`, '')],
  ])(
    'does not know what a tree of the archive has of which nothing is left but %s',
    async (_, message, spoil) => {
      await store.put(listedKey('basebackups_005/x'), [Buffer.from('x')], createOnly);
      spoil();
      await expect(store.get(walKey('x'), call)).rejects.toThrow(message);
      expect(await store.get(listedKey('basebackups_005/y'), call)).toBeUndefined();
    },
  );

  it('knows what an archive does not have that has no such tree yet, or only other files in it', async () => {
    await store.put(listedKey('basebackups_005/x'), [Buffer.from('x')], createOnly);
    expect(await store.get(walKey('x'), call)).toBeUndefined();
    mkdirSync(`${root}/elsewhere`);
    writeFileSync(`${root}/elsewhere/00000002.history.lzo`, '');
    symlinkSync('elsewhere', `${root}/wal_005`);
    expect(await store.get(walKey('x'), call)).toBeUndefined();
  });

  it('is empty before the first put: whoever asks before putting is not held up', async () => {
    const fresh = createFileStore(`${root}/not made yet`);
    expect(await fresh.head(walKey('x'), call)).toBeUndefined();
    expect(await fresh.put(walKey('x'), [Buffer.from('x')], createOnly)).toBe('stored');
  });

  it('does not take a folder for an object', async () => {
    mkdirSync(`${root}/wal_005/x.lzo`, { recursive: true });
    expect(await store.head(walKey('x'), call)).toBeUndefined();
    await expect(store.get(walKey('x'), call)).rejects.toThrow('is no file');
  });

  it('does not take a link that leads nowhere for an object that is not there', async () => {
    mkdirSync(`${root}/wal_005`);
    symlinkSync(`${root}/gone/x.lzo`, `${root}/wal_005/x.lzo`);
    await expect(store.get(walKey('x'), call)).rejects.toThrow('a link that leads nowhere');
  });

  it('refuses keys that lead out of the prefix', async () => {
    for (const key of ['../x', 'a/../../x', '/etc/passwd', 'a//b', 'a/./b', 'nul\0', '']) {
      await expect(store.put(listedKey(key), [Buffer.from('x')], createOnly)).rejects.toThrow(
        'refusing a key',
      );
      await expect(store.get(listedKey(key), call)).rejects.toThrow('refusing a key');
    }
  });

  it('[arc-11] finds the temporary file of a put that was killed, keeps it out of lists, and removes it on request', async () => {
    mkdirSync(`${root}/wal_005`);
    writeFileSync(`${root}/wal_005/.a.lzo.0123456789abcdef.tmp`, 'half');
    writeFileSync(`${root}/wal_005/b.lzo`, 'whole');
    const keys = [];
    for await (const page of store.list('', call)) keys.push(...page.map((info) => info.key));
    expect(keys).toEqual(['wal_005/b.lzo']);
    const found = [];
    for await (const page of store.leftovers('', call)) found.push(...page);
    expect(found.map((leftover) => leftover.key)).toEqual(['wal_005/a.lzo']);
    for (const leftover of found) await store.removeLeftover(leftover, call);
    expect(readdirSync(`${root}/wal_005`)).toEqual(['b.lzo']);
  });

  it('removes a real object only through remove', async () => {
    const leftover = { key: 'wal_005/b.lzo', id: 'wal_005/b.lzo', started: new Date() };
    await store.put(listedKey('wal_005/b.lzo'), [Buffer.from('x')], createOnly);
    await expect(store.removeLeftover(leftover, call)).rejects.toThrow('not a temporary file');
  });

  it('[del-18] removes folders that a removal left empty, but neither the root nor a folder with a foreign file', async () => {
    const keys = ['a/b/1', 'a/b/2', 'c/1'].map(listedKey);
    for (const key of keys) await store.put(key, [Buffer.from('x')], createOnly);
    writeFileSync(`${root}/c/foreign`, '');
    await store.remove(keys, call);
    expect(readdirSync(root)).toEqual(['c']);
    await store.remove([listedKey('c/foreign')], call);
    expect(existsSync(root)).toBe(true);
  });

  it('lists through a linked folder, survives a circle of links and files whose names are not UTF-8', async () => {
    mkdirSync(`${root}/elsewhere`);
    symlinkSync('elsewhere', `${root}/wal_005`);
    symlinkSync('..', `${root}/elsewhere/circle`);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/elsewhere/`), Buffer.from([0xff, 0xfe])]), '');
    writeFileSync(`${root}/elsewhere/a.lzo`, 'x');
    const keys = [];
    for await (const page of store.list('wal_005/a', call)) keys.push(...page.map((info) => info.key));
    expect(keys).toEqual(['wal_005/a.lzo']);
  });

  it('lists all there is where the file system tells no types and a file vanishes meanwhile', async ({
    skip,
  }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    const mounted = createFileStore(disk.folder);
    const keys = [
      ...Array.from({ length: 40 }, (_, i) => `wal_005/${i}.lzo`),
      'wal_005/ä.lzo',
      'wal_005/b/x',
    ];
    for (const key of keys) await mounted.put(listedKey(key), [Buffer.from('x')], createOnly);
    const gone = { operation: 'lookup', path: '/7.lzo', errno: 'ENOENT' };
    disk.obey({ operation: 'opendir', untyped: 0 }, gone);
    const found = [];
    for await (const page of mounted.list('wal_005/', call)) found.push(...page.map((info) => info.key));
    expect(found.sort()).toEqual(keys.filter((key) => key !== 'wal_005/7.lzo').sort());
  });

  it('tells an object that is there from hard links that are refused, for which sshfs has one error', async ({
    skip,
  }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    const mounted = createFileStore(disk.folder);
    const put = () => mounted.put(walKey('x'), [Buffer.from('x')], createOnly);
    disk.obey({ operation: 'link', errno: 'EPERM' });
    await expect(put()).rejects.toThrow('cannot make hard links');
    // The kernel itself refuses a link to a name that it knows: this one appears only meanwhile.
    disk.obey({ operation: 'link', errno: 'EPERM', done: true });
    expect(await put()).toBe('exists');
    expect(readdirSync(`${disk.behind}/wal_005`)).toEqual(['x.lzo']);
  });

  it('finds an object whose name was not there a moment ago, as clients of NFS remember it until its folder is opened', async ({
    skip,
  }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    const mounted = createFileStore(disk.folder);
    await mounted.put(walKey('x'), [Buffer.from('x')], createOnly);
    const forgetful = { operation: 'lookup', path: '/x.lzo', errno: 'ENOENT', until: 'opendir' };
    disk.obey(forgetful);
    expect(await mounted.get(walKey('y'), call)).toBeUndefined();
    disk.obey(forgetful);
    expect((await contents(await mounted.get(walKey('x'), call))).toString()).toBe('x');
    disk.obey(forgetful);
    expect((await mounted.head(walKey('x'), call))?.size).toBe(1);
  });

  it('finds the objects of a tree that was not there a moment ago', async ({ skip }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    const mounted = createFileStore(disk.folder);
    await mounted.put(listedKey('basebackups_005/base'), [Buffer.from('b')], createOnly);
    await mounted.put(walKey('x'), [Buffer.from('x')], createOnly);
    const forgetful = { operation: 'lookup', path: '/wal_005', errno: 'ENOENT', until: 'opendir' };
    disk.obey(forgetful);
    expect((await contents(await mounted.get(walKey('x'), call))).toString()).toBe('x');
    disk.obey(forgetful);
    expect((await mounted.head(walKey('x'), call))?.size).toBe(1);
    disk.obey(forgetful);
    const listed = [];
    for await (const page of mounted.list('wal_005/', call)) listed.push(...page.map(({ key }) => key));
    expect(listed).toEqual([walKey('x')]);
  });

  it('names the file and the remedy when it may not write', async () => {
    if (process.getuid?.() === 0) {
      mkdirSync(`${root}/wal_005`);
      writeFileSync(`${root}/blocked`, '');
      const blocked = createFileStore(`${root}/blocked`);
      await expect(blocked.put(walKey('x'), [Buffer.from('x')], createOnly)).rejects.toThrow(
        'could not store a file',
      );
      return;
    }
    chmodSync(root, 0o500);
    await expect(store.put(walKey('x'), [Buffer.from('x')], createOnly)).rejects.toMatchObject({
      message: 'could not store a file',
      hint: 'The user who runs wal-e needs read and write permission on the storage prefix.',
    });
    chmodSync(root, 0o700);
  });

  it('fails where the system makes no folders, instead of trying for ever', async () => {
    const nowhere = createFileStore('/proc/nowhere');
    await expect(nowhere.put(walKey('x'), [Buffer.from('x')], createOnly)).rejects.toThrow(
      'could not store a file',
    );
  });

  it('reports a file that is cut while it is read', async () => {
    const key = walKey('x');
    await store.put(key, [new Uint8Array(3 * 1024 * 1024)], createOnly);
    const found = await store.get(key, call);
    execFileSync('truncate', ['-s', '100', `${root}/wal_005/x.lzo`]);
    await expect(contents(found)).rejects.toThrow('became shorter');
  });

  it('leaves an object that somebody holds by another name unharmed', async () => {
    writeFileSync(`${root}/original`, 'bytes');
    mkdirSync(`${root}/wal_005`);
    linkSync(`${root}/original`, `${root}/wal_005/x.lzo`);
    expect(await store.put(walKey('x'), [Buffer.from('other')], createOnly)).toBe('exists');
  });
});
