import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import {
  backupNames,
  createArchivedCluster,
  memberNames,
  readSentinel,
  recover,
  storedParts,
  unpackBackup,
} from '../../harness/archived-cluster.ts';
import { createKeyring, GOLDEN_KEY, hasGpg } from '../../harness/gpg.ts';
import { decompress } from '../../harness/lzop.ts';
import type { Cluster } from '../../harness/postgres.ts';
import { logEntries, runProgram } from '../../harness/program.ts';
import { TESTED_VERSIONS } from '../../harness/versions.ts';
import { checkAccounts, createAccounts, startWriting } from '../../harness/write-load.ts';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** A file that PostgreSQL would not make but an extension might: its bytes are no UTF-8. */
const ODD_NAME = 'odd \xe9\xff "name\' \\';

async function archived(options: Parameters<typeof createArchivedCluster>[0]) {
  const made = await createArchivedCluster(options);
  clusters.push(made.cluster);
  await made.cluster.start();
  return made;
}

function only(names: readonly string[]): string {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) throw new Error(`not one backup: ${names.join()}`);
  return name;
}

/** Every page of every relation is read, as pg_dump or a vacuum would. */
const READ_ALL = `select sum(pg_relation_size(c.oid)) from pg_class c where relkind in ('r', 'i', 't', 'm');
  do $$ declare r regclass; n bigint; begin
    for r in select oid from pg_class where relkind in ('r', 't') and relpersistence = 'p' loop
      execute format('select count(*) from %s t', r) into n;
    end loop; end $$`;

describe('a backup of a server that is written to', () => {
  it.each(TESTED_VERSIONS)('[bpush-2] of version %i is what it was, once restored', async (version) => {
    const { cluster, archive, environment } = await archived({
      version,
      initdbArguments: ['-k'],
      tablespaces: ['one', 'two'],
    });
    await createAccounts(cluster);
    await cluster.query(`create table elsewhere tablespace one as select g, md5(g::text) m from generate_series(1, 20000) g;
      create unlogged table unlogged_one as select g from generate_series(1, 50000) g;
      select lo_from_bytea(4711, decode(repeat('ab', 50000), 'hex'))`);
    const unlogged = await cluster.value("select pg_relation_filepath('unlogged_one')");
    const oid = await cluster.value("select oid from pg_tablespace where spcname = 'one'");
    const other = new pg.Client({ host: cluster.socketDirectory, user: cluster.user, database: 'postgres' });
    await other.connect();
    await other.query('create temp table passing as select g from generate_series(1, 1000) g');
    const load = startWriting(cluster);
    const before = load.transfers();
    const pushed = await runProgram(['backup-push', '--fast-checkpoint', '-p', '2', cluster.dataDirectory], {
      environment,
    });
    await load.stop();
    await other.end();
    expect(pushed.stderr).not.toMatch(/WARNING|ERROR/);
    expect(pushed.status).toBe(0);
    const transfers = await checkAccounts(cluster);
    expect(transfers).toBeGreaterThan(before);
    await cluster.query('select pg_switch_wal()');
    await cluster.stop();

    const name = only(backupNames(archive));
    const { spec, own, expandedSizeBytes } = await readSentinel(archive, name);
    expect(spec?.basePrefix).toBe(`${cluster.dataDirectory}/`);
    expect(spec?.tablespaces.get(oid)).toEqual({
      loc: `${cluster.tablespaceDirectory('one')}/`,
      link: `pg_tblspc/${oid}`,
    });
    expect(own).toMatchObject({ timeline: 1, offline: false, fromStandby: false, damagedPageCount: 0 });
    expect(own?.tablespaceBytes?.get(oid)).toBeGreaterThan(1_000_000);
    expect(own?.parts.reduce((sum, part) => sum + part.expandedSize, 0)).toBe(expandedSizeBytes);
    for (const { fact, size, sha256 } of await storedParts(archive, name))
      expect(fact).toMatchObject({ size, sha256 });
    const names = await memberNames(archive, name);
    expect(names.filter((member) => member.startsWith('pg_wal/'))).toEqual(['pg_wal/']);
    expect(names).not.toContain(unlogged);
    expect(names).toContain(`${unlogged}_init`);
    expect(names.filter((member) => /\/t\d+_\d+/.test(member))).toEqual([]);
    expect(names.slice(-3)).toEqual(['backup_label', 'tablespace_map', 'global/pg_control']);

    // The original tablespaces are moved away: whoever still looks there fails.
    for (const tablespace of ['one', 'two']) {
      renameSync(cluster.tablespaceDirectory(tablespace), `${cluster.tablespaceDirectory(tablespace)}.gone`);
    }
    const two = await otherOid(spec?.tablespaces.keys() ?? [], oid);
    const data = await unpackBackup(archive, name, {
      [oid]: join(cluster.folder, 'restored', 'one'),
      [two]: join(cluster.folder, 'restored', 'two'),
    });
    rmSync(join(data, 'tablespace_map'));
    const restored = await recover(data, archive);
    clusters.push(restored);
    expect(await checkAccounts(restored)).toBe(transfers);
    expect(await restored.value('select count(*) from elsewhere')).toBe('20000');
    expect(await restored.value('select count(*) from unlogged_one')).toBe('0');
    expect(await restored.value('select length(lo_get(4711))')).toBe('50000');
    await restored.query(READ_ALL);
  });
});

function otherOid(oids: Iterable<string>, known: string): string {
  return only([...oids].filter((oid) => oid !== known));
}

describe('a data directory of unusual shape', () => {
  it('[bpush-11] [bpush-14] is backed up whole: links, odd names, a relation file of more than a gigabyte, tens of thousands of files', async () => {
    const { cluster, archive, environment } = await archived({ segmentMb: 1 });
    await cluster.stop();
    const { dataDirectory, folder } = cluster;
    renameSync(join(dataDirectory, 'pg_wal'), join(folder, 'wal'));
    symlinkSync(join(folder, 'wal'), join(dataDirectory, 'pg_wal'));
    renameSync(dataDirectory, join(folder, 'real'));
    symlinkSync(join(folder, 'real'), dataDirectory);
    await cluster.start();
    const extension = join(dataDirectory, 'extension');
    mkdirSync(join(extension, 'empty'), { recursive: true, mode: 0o750 });
    for (let i = 0; i < 25_000; i += 1) writeFileSync(join(extension, `f${i}`), `${i}`);
    writeFileSync(Buffer.from(join(extension, ODD_NAME), 'latin1'), 'odd');
    writeFileSync(join(extension, 'n'.repeat(250)), 'long');
    const database = await cluster.value("select 'base/' || oid from pg_database where datname = 'postgres'");
    sparse(join(dataDirectory, database, '99999'), 1.62e9);

    const pushed = await runProgram(['backup-push', '--fast-checkpoint', `${folder}//data/../data/`], {
      environment,
    });
    expect(pushed.status, pushed.stderr).toBe(0);
    const name = only(backupNames(archive));
    const { own } = await readSentinel(archive, name);
    expect(own?.parts.length).toBeGreaterThan(25_000 / 6144);
    expect(Math.max(...(own?.parts.map(({ members }) => members) ?? []))).toBeLessThanOrEqual(6144);
    const data = await unpackBackup(archive, name);
    expect(readdirSync(join(data, 'pg_wal'))).toEqual([]);
    expect(execFileSync('stat', ['-c', '%a %F', join(data, 'extension', 'empty')]).toString()).toBe(
      '750 directory\n',
    );
    const listing = readdirSync(join(data, 'extension'), 'latin1');
    expect(listing).toHaveLength(25_003);
    expect(listing).toContain(ODD_NAME);
    // The relation that PostgreSQL knows nothing of is in the way of no query.
    execFileSync('cmp', [join(dataDirectory, database, '99999'), join(data, database, '99999')]);
    rmSync(join(data, 'extension'), { recursive: true });
    rmSync(join(data, database, '99999'));
    await cluster.query('select pg_switch_wal()');
    await cluster.stop();
    const restored = await recover(data, archive, { min_wal_size: '2MB', max_wal_size: '16MB' });
    clusters.push(restored);
    expect(await restored.value('select 1')).toBe('1');
  });
});

function sparse(path: string, bytes: number): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  closeSync(file);
}

describe.runIf(hasGpg())('with a gpg key', () => {
  it('every part is encrypted, and the sentinel tells what is stored', async () => {
    const { cluster, archive, environment } = await archived({ segmentMb: 1 });
    const keyring = createKeyring('secret');
    try {
      const { status, stderr } = await runProgram(
        ['backup-push', '--fast-checkpoint', cluster.dataDirectory],
        {
          environment: { ...environment, WALE_GPG_KEY_ID: GOLDEN_KEY, GNUPGHOME: keyring.home },
        },
      );
      expect(status, stderr).toBe(0);
      for (const { fact, bytes, size, sha256 } of await storedParts(archive, only(backupNames(archive)))) {
        expect(fact).toMatchObject({ size, sha256 });
        expect(decompress(keyring.gpg(['-d'], bytes)).length).toBeGreaterThan(fact.expandedSize);
      }
    } finally {
      keyring.dispose();
    }
  });

  it('that cannot be used, nothing is begun', async () => {
    const { cluster, archive, environment } = await archived({ segmentMb: 1 });
    const keyring = createKeyring('empty');
    try {
      const { status, stderr } = await runProgram(['backup-push', cluster.dataDirectory], {
        environment: { ...environment, WALE_GPG_KEY_ID: GOLDEN_KEY, GNUPGHOME: keyring.home },
      });
      expect(status).toBe(1);
      expect(stderr).toContain('gpg');
      expect(stderr).not.toContain('starting the backup');
      expect(backupNames(archive)).toEqual([]);
    } finally {
      keyring.dispose();
    }
  });
});

describe('what the log says', () => {
  it('is a line for each part, what is waited for, and at the end name, sizes, duration and rate', async () => {
    const { cluster, environment } = await archived({ segmentMb: 1 });
    const { stderr } = await runProgram(['backup-push', '--fast-checkpoint', cluster.dataDirectory], {
      environment,
    });
    const entries = logEntries(stderr);
    const part = (count: number) => [
      'begin uploading a base backup volume',
      'finish uploading a base backup volume',
      expect.stringMatching(new RegExp(`^pushed .* of .* \\(\\d+%\\), .*/s, .* left, ${count} parts$`)),
    ];
    expect(entries.map(({ message }) => message)).toEqual([
      'starting WAL-E',
      'starting the backup on the server',
      'the backup has started',
      'start upload postgres version metadata',
      'postgres version metadata upload complete',
      ...part(1),
      ...part(2),
      ...(stderr.includes('waiting for WAL') ? ['waiting for WAL to be archived'] : []),
      'the archive has all WAL that the backup needs',
      'the base backup is complete',
    ]);
    expect(entries.at(-1)?.detail).toMatch(
      /^base_\S+: .* MB, compressed .* MB in 2 parts, in \d+ s, .*\/s\./,
    );
  });
});
