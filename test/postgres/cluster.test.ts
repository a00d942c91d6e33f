import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ClusterEntry, type ClusterWalk, type Oddity, walkCluster } from '../../src/postgres/cluster.ts';
import { readTablespaces } from '../../src/postgres/tablespaces.ts';
import { versionOfServer } from '../../src/postgres/version.ts';
import { mountFuse } from '../harness/fuse.ts';
import { canMount, mountLargeInodes } from '../harness/mount.ts';
import { createScratch } from '../harness/scratch.ts';

const VERSION = versionOfServer(180004);
const TABLESPACE_FOLDER = 'PG_18_202506291';

let root: string;
let odd: Oddity[];
beforeEach(() => {
  root = join(createScratch(), 'data');
  mkdirSync(root, { mode: 0o700 });
  mkdirSync(join(root, 'pg_tblspc'));
  odd = [];
});

/** Names ending in `/` are folders. */
function make(...names: string[]): void {
  for (const name of names) {
    const path = join(root, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(path, name);
  }
}

async function entries(options: Partial<ClusterWalk> = {}): Promise<ClusterEntry[]> {
  const walk: ClusterWalk = {
    dataDirectory: root,
    version: VERSION,
    tablespaces: await readTablespaces(root),
    withConfig: false,
    signal: new AbortController().signal,
    odd: (oddity) => odd.push(oddity),
    ...options,
  };
  const found: ClusterEntry[] = [];
  for await (const batch of walkCluster(walk)) found.push(...batch);
  return found;
}

async function names(options: Partial<ClusterWalk> = {}): Promise<string[]> {
  const found = await entries(options);
  return found.map(({ name, kind }) => (kind === 'directory' ? `${name}/` : name)).sort();
}

describe('a walk through a cluster', () => {
  it('yields the root first, each folder before what is in it, and empty folders too', async () => {
    make('base/1/112', 'base/empty/', 'global/1260', 'PG_VERSION');
    const found = (await entries()).map(({ name }) => name);
    expect(found[0]).toBe('');
    expect(found.indexOf('base')).toBeLessThan(found.indexOf('base/1'));
    expect(found.indexOf('base/1')).toBeLessThan(found.indexOf('base/1/112'));
    expect(found).toContain('base/empty');
  });

  it('keeps the mode, and of files the size', async () => {
    make('PG_VERSION', 'base/');
    chmodSync(join(root, 'base'), 0o750);
    chmodSync(join(root, 'PG_VERSION'), 0o640);
    const found = await entries();
    expect(found.find(({ name }) => name === 'base')).toMatchObject({ mode: 0o750, size: 0 });
    expect(found.find(({ name }) => name === 'PG_VERSION')).toMatchObject({ mode: 0o640, size: 10 });
  });

  it.each([
    ...['pg_wal', 'pg_xlog', 'pg_log', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial'],
    ...['pg_snapshots', 'pg_stat_tmp', 'pg_subtrans', 'base/pg_stat_tmp', 'extension/.wal-e'],
  ])('keeps the folder %s and leaves out what is in it', async (name) => {
    make(`${name}/file`, `${name}/folder/file`);
    const found = await names();
    expect(found).toContain(`${name}/`);
    expect(found.filter((other) => other.startsWith(`${name}/`))).toEqual([`${name}/`]);
  });

  it('leaves out what belongs to the running server, to another backup, or to a recovery', async () => {
    make(
      ...[
        'postmaster.pid',
        'postmaster.opts',
        'backup_label',
        'backup_label.old',
        'tablespace_map',
        'backup_manifest',
      ],
      ...[
        'recovery.conf',
        'recovery.done',
        'recovery.signal',
        'standby.signal',
        'promote',
        'tablespace_map.old',
      ],
      ...[
        'global/pg_internal.init',
        'base/5/pg_internal.init',
        'base/5/pg_internal.init.1234',
        '.s.PGSQL.5432.lock',
      ],
      ...['base/pgsql_tmp/pgsql_tmp12.0', 'base/pgsql_tmp99', 'lost+found/x', 'base/lost+found/y'],
      ...['global/pg_control', 'postgresql.auto.conf.tmp'],
      // A restore would refuse a backup with its own files in it.
      ...[
        'wal-e-restore-incomplete.json',
        'wal-e-restore-incomplete.json.1',
        'global/pg_control.wal-e-restore',
      ],
    );
    expect(await names()).toEqual(['/', 'base/', 'base/5/', 'global/', 'pg_tblspc/']);
  });

  it('leaves out the configuration files, and only those of the top, unless they are asked for', async () => {
    make('postgresql.conf', 'pg_hba.conf', 'pg_ident.conf', 'postgresql.auto.conf', 'conf.d/postgresql.conf');
    expect(await names()).toEqual([
      '/',
      'conf.d/',
      'conf.d/postgresql.conf',
      'pg_tblspc/',
      'postgresql.auto.conf',
    ]);
    expect(await names({ withConfig: true })).toEqual(
      expect.arrayContaining(['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']),
    );
  });

  it('leaves out temporary relations, and of unlogged ones all but the init fork', async () => {
    make('base/5/100', 'base/5/100_init', 'base/5/100.1', 'base/5/100_fsm', 'base/5/100_vm');
    make(
      'base/5/200',
      'base/5/200_fsm',
      'base/5/200.1',
      'base/5/t3_300',
      'base/5/t3_300_fsm',
      'base/5/t3_300.1',
    );
    expect(await names()).toEqual([
      ...[
        '/',
        'base/',
        'base/5/',
        'base/5/100_init',
        'base/5/200',
        'base/5/200.1',
        'base/5/200_fsm',
        'pg_tblspc/',
      ],
    ]);
  });

  it('takes files that only look like relations for what they are', async () => {
    make('extension/100', 'extension/100_init', 'extension/t3_300', 'log/postgresql.log', 'current_logfiles');
    expect(await names()).toEqual([
      ...['/', 'current_logfiles', 'extension/', 'extension/100', 'extension/100_init', 'extension/t3_300'],
      ...['log/', 'log/postgresql.log', 'pg_tblspc/'],
    ]);
  });

  it('follows tablespaces, without a member for the link, and of their folders takes only its own', async () => {
    const space = join(createScratch(), 'space');
    for (const name of [
      `${TABLESPACE_FOLDER}/5/100`,
      `${TABLESPACE_FOLDER}/5/100_init`,
      'PG_17_202406281/5/100',
      'lost+found/a',
      'foreign',
    ]) {
      mkdirSync(dirname(join(space, name)), { recursive: true });
      writeFileSync(join(space, name), '');
    }
    symlinkSync(space, join(root, 'pg_tblspc', '16400'));
    const prefix = `pg_tblspc/16400/${TABLESPACE_FOLDER}`;
    expect(await names()).toEqual(['/', 'pg_tblspc/', `${prefix}/`, `${prefix}/5/`, `${prefix}/5/100_init`]);
    expect(odd).toEqual([]);
  });

  it('follows a relative link of a tablespace from where the data directory really is', async () => {
    const real = join(createScratch(), 'deep', 'down', 'data');
    mkdirSync(dirname(real), { recursive: true });
    renameSync(root, real);
    symlinkSync(real, root);
    mkdirSync(join(real, '..', 'space', TABLESPACE_FOLDER), { recursive: true });
    symlinkSync('../../space', join(root, 'pg_tblspc', '16400'));
    expect(await readTablespaces(root)).toEqual([
      { oid: '16400', link: 'pg_tblspc/16400', location: join(real, '..', 'space') },
    ]);
    expect(await names()).toEqual(['/', 'pg_tblspc/', `pg_tblspc/16400/${TABLESPACE_FOLDER}/`]);
  });

  it('takes a tablespace inside of the data directory for folders', async () => {
    make(`pg_tblspc/16500/${TABLESPACE_FOLDER}/5/100`);
    expect(await readTablespaces(root)).toEqual([]);
    expect(await names()).toContain('pg_tblspc/16500/');
  });

  it('takes a tablespace whose link leads into the data directory once, by its link', async () => {
    make(`tablespaces/16400/${TABLESPACE_FOLDER}/5/100`);
    symlinkSync(join(root, 'tablespaces', '16400'), join(root, 'pg_tblspc', '16400'));
    const prefix = `pg_tblspc/16400/${TABLESPACE_FOLDER}`;
    expect(await names()).toEqual([
      ...['/', 'pg_tblspc/', `${prefix}/`, `${prefix}/5/`, `${prefix}/5/100`],
      'tablespaces/',
    ]);
  });

  it('leaves a tablespace that is made meanwhile to the WAL, which cannot replace a folder by its link', async () => {
    const space = join(createScratch(), 'space');
    mkdirSync(join(space, TABLESPACE_FOLDER, '5'), { recursive: true });
    symlinkSync(space, join(root, 'pg_tblspc', '16400'));
    expect(await names({ tablespaces: [] })).toEqual(['/', 'pg_tblspc/']);
    expect(odd).toEqual([]);
  });

  it('takes a tablespace that is dropped while it looks for one that is not there', async () => {
    const link = join(root, 'pg_tblspc', '16400');
    const space = createScratch();
    for (let round = 0; round < 300; round += 1) {
      symlinkSync(space, link);
      const found = readTablespaces(root);
      if (round % 2 === 0) await new Promise(setImmediate);
      rmSync(link);
      expect((await found).length).toBeLessThanOrEqual(1);
    }
  });

  it('refuses a tablespace whose folder is gone', async () => {
    symlinkSync('/nowhere/at/all', join(root, 'pg_tblspc', '16400'));
    await expect(readTablespaces(root)).rejects.toThrow('the folder of a tablespace is not there');
  });

  it('goes through a data directory and a pg_wal that are links', async () => {
    make('pg_wal/000000010000000000000001', 'PG_VERSION');
    const elsewhere = join(createScratch(), 'elsewhere');
    renameSync(root, elsewhere);
    symlinkSync(elsewhere, root);
    renameSync(join(elsewhere, 'pg_wal'), `${elsewhere}-wal`);
    symlinkSync(`${elsewhere}-wal`, join(elsewhere, 'pg_wal'));
    expect(await names()).toEqual(['/', 'PG_VERSION', 'pg_tblspc/', 'pg_wal/']);
    expect(odd).toEqual([]);
  });

  it('stores what is behind other links as files and folders, and says so of folders', async () => {
    const elsewhere = createScratch();
    mkdirSync(join(elsewhere, 'logs'));
    writeFileSync(join(elsewhere, 'logs', 'a'), 'abc');
    symlinkSync(join(elsewhere, 'logs'), join(root, 'log'));
    symlinkSync(join(elsewhere, 'logs', 'a'), join(root, 'linked'));
    const found = await entries();
    expect(found.find(({ name }) => name === 'linked')).toMatchObject({ kind: 'file', size: 3 });
    expect(found.find(({ name }) => name === 'log')).toMatchObject({ kind: 'directory' });
    expect(found.map(({ name }) => name)).toContain('log/a');
    expect(odd).toEqual([{ kind: 'folder behind a link', name: 'log' }]);
  });

  it('refuses links that lead in circles', async () => {
    make('a/b/');
    symlinkSync(join(root, 'a'), join(root, 'a', 'b', 'circle'));
    await expect(names()).rejects.toThrow('leads back');
  });

  it('names links that lead nowhere and what is neither file nor folder', async () => {
    symlinkSync('/nowhere/at/all', join(root, 'dangling'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    expect(await names()).toEqual(['/', 'pg_tblspc/']);
    expect(odd.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { kind: 'dangling link', name: 'dangling' },
      { kind: 'special file', name: 'socket' },
    ]);
    await new Promise((resolve) => server.close(resolve));
  });

  it('does not mind what vanishes while it is under way', async () => {
    make('base/1/112', 'base/2/112', 'extension/a');
    const walk = walkCluster({
      ...{ dataDirectory: root, version: VERSION, tablespaces: [], withConfig: false },
      ...{ signal: new AbortController().signal, odd: () => undefined },
    });
    const found: string[] = [];
    for await (const batch of walk) {
      rmSync(join(root, 'base'), { recursive: true, force: true });
      found.push(...batch.map(({ name }) => name));
    }
    expect(found.filter((name) => name.startsWith('base/'))).toEqual([]);
    expect(found).toContain('extension/a');
  });

  it('does not mind a folder that vanishes when half of it is read', async () => {
    make(...Array.from({ length: 1000 }, (_, i) => `base/5/${i + 16384}`));
    const walk = walkCluster({
      ...{ dataDirectory: root, version: VERSION, tablespaces: [], withConfig: false },
      signal: new AbortController().signal,
      odd: (oddity) => odd.push(oddity),
    });
    let seen = 0;
    for await (const batch of walk) {
      seen += batch.filter(({ name }) => name.startsWith('base/5/')).length;
      if (seen > 0) rmSync(join(root, 'base'), { recursive: true, force: true });
    }
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(1000);
  });

  it('carries names as bytes', async () => {
    const name = 'caf\xe9 \xff\n';
    writeFileSync(Buffer.from(`${root}/${name}`, 'latin1'), 'x');
    expect(await names()).toContain(name);
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    make('base/1/112');
    await expect(names({ signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('a cluster on a file system with inodes of 64 bits', () => {
  it.runIf(canMount())('is taken with all its folders and tablespaces', async ({ skip }) => {
    const folder = mountLargeInodes(['data', 'data/pg_tblspc', 'data/base', 'space']);
    if (folder === undefined) return skip('this machine has no inodes with such numbers');
    root = join(folder, 'data');
    make('base/1', 'PG_VERSION');
    mkdirSync(join(folder, 'space', TABLESPACE_FOLDER));
    symlinkSync(join(folder, 'space'), join(root, 'pg_tblspc', '16384'));
    const space = `pg_tblspc/16384/${TABLESPACE_FOLDER}/`;
    expect(await names()).toEqual(['/', 'PG_VERSION', 'base/', 'base/1', 'pg_tblspc/', space]);
    expect(odd).toEqual([]);
  });
});

describe('a cluster on a file system that tells no types', () => {
  it('is taken with all but what vanishes, whatever the names are', async ({ skip }) => {
    const disk = mountFuse();
    if (disk === undefined) return skip('no file system can be mounted through /dev/fuse here');
    root = disk.folder;
    make('base/1', 'base/2', 'base/3', 'base/ä', 'pg_tblspc/', 'PG_VERSION');
    disk.obey({ operation: 'opendir', untyped: 0 }, { operation: 'lookup', path: 'base/2', errno: 'ENOENT' });
    const umlaut = Buffer.from('base/ä').toString('latin1');
    const base = ['base/', 'base/1', 'base/3', umlaut];
    expect(await names()).toEqual(['/', 'PG_VERSION', ...base, 'pg_tblspc/']);
  });
});
