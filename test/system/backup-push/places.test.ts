/** Where tablespaces can lie, and what names and modes there can be: a cluster that has them all is the same once restored. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import {
  backupNames,
  createArchivedCluster,
  memberNames,
  readSentinel,
  recover,
  unpackBackup,
} from '../../harness/archived-cluster.ts';
import type { Cluster } from '../../harness/postgres.ts';
import { runProgram } from '../../harness/program.ts';

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

/** Bytes: not UTF-8 and as long as a name can be, more than a line, an option to a careless script. */
const ODD_NAMES = ['\xff'.repeat(255), 'two\nlines', '-rf', ' ', 'b\xfccher', '.hidden'];

async function oidOf(cluster: Cluster, name: string): Promise<string> {
  return cluster.value(`select oid from pg_tablespace where spcname = '${name}'`);
}

/** Tablespaces in place, behind a relative link, and inside of the data directory; a table in each. */
async function fill(cluster: Cluster): Promise<void> {
  const inside = join(cluster.dataDirectory, 'inside');
  mkdirSync(inside, { mode: 0o700 });
  if (process.getuid?.() === 0) chownSync(inside, cluster.account.uid, cluster.account.gid);
  await cluster.query("create tablespace in_place location ''");
  await cluster.query(`create tablespace inside location '${inside}'`);
  for (const name of ['outside', 'in_place', 'inside'])
    await cluster.query(
      `create table in_${name} tablespace ${name} as select g from generate_series(1, 5000) g`,
    );
  await cluster.query('begin; insert into in_outside values (0); prepare transaction $$undecided$$');
}

function makeRelative(cluster: Cluster, oid: string): void {
  const folder = join(cluster.dataDirectory, 'pg_tblspc');
  const target = relative(folder, readlinkSync(join(folder, oid)));
  rmSync(join(folder, oid));
  symlinkSync(target, join(folder, oid));
  if (process.getuid?.() === 0) lchownSync(join(folder, oid), cluster.account.uid, cluster.account.gid);
}

it('tablespaces in place, inside, behind relative links, group access, prepared transactions and odd names come back', async () => {
  const { cluster, archive, environment } = await createArchivedCluster({
    segmentMb: 1,
    initdbArguments: ['-k', '-g'],
    tablespaces: ['outside'],
    settings: { max_prepared_transactions: '2', allow_in_place_tablespaces: 'on' },
  });
  clusters.push(cluster);
  await cluster.start();
  await fill(cluster);
  const [outside, inPlace, inside] = await Promise.all(
    ['outside', 'in_place', 'inside'].map((name) => oidOf(cluster, name)),
  );
  if (outside === undefined || inPlace === undefined || inside === undefined)
    throw new Error('no tablespace');
  await cluster.stop();
  makeRelative(cluster, outside);
  await cluster.start();
  const odd = join(cluster.dataDirectory, 'odd');
  mkdirSync(odd, { mode: 0o750 });
  for (const name of ODD_NAMES)
    writeFileSync(Buffer.from(join(odd, name), 'latin1'), `of ${name.length}`, { mode: 0o640 });

  const pushed = await runProgram(['backup-push', '--fast-checkpoint', cluster.dataDirectory], {
    environment,
  });
  expect(pushed.status, pushed.stderr).toBe(0);
  const [name = ''] = backupNames(archive);
  const { spec, own } = await readSentinel(archive, name);
  expect(Object.fromEntries(spec?.tablespaces ?? [])).toEqual({
    [outside]: { loc: `${cluster.tablespaceDirectory('outside')}/`, link: `pg_tblspc/${outside}` },
    [inside]: { loc: `${join(cluster.dataDirectory, 'inside')}/`, link: `pg_tblspc/${inside}` },
  });
  expect([...(own?.tablespaceBytes?.keys() ?? [])].sort()).toEqual([outside, inside].sort());
  const names = await memberNames(archive, name);
  expect(names.filter((member) => member.startsWith('inside/'))).toEqual([]);
  expect(names.filter((member) => member.startsWith(`pg_tblspc/${inPlace}/`)).length).toBeGreaterThan(2);

  const wanted = { [outside]: join(cluster.folder, 'one'), [inside]: join(cluster.folder, 'two') };
  const data = await unpackBackup(archive, name, wanted);
  expect(readdirSync(join(data, 'odd'), 'latin1').sort()).toEqual([...ODD_NAMES].sort());
  for (const oddName of ODD_NAMES)
    expect(readFileSync(Buffer.from(join(data, 'odd', oddName), 'latin1'), 'utf8')).toBe(
      `of ${oddName.length}`,
    );
  const modes = execFileSync('stat', ['-c', '%a', join(data, 'base'), join(data, 'PG_VERSION')]).toString();
  expect(modes).toBe('750\n640\n');
  expect(statSync(data).mode & 0o777).toBe(0o750);

  await cluster.query('select pg_switch_wal()');
  await cluster.stop();
  for (const old of [cluster.tablespaceDirectory('outside'), join(cluster.dataDirectory, 'inside')])
    renameSync(old, `${old}.gone`);
  rmSync(join(data, 'odd'), { recursive: true });
  rmSync(join(data, 'tablespace_map'));
  const restored = await recover(data, archive, {
    max_prepared_transactions: '2',
    // PostgreSQL's own demand, of any recovery with such tablespaces.
    allow_in_place_tablespaces: 'on',
  });
  clusters.push(restored);
  for (const table of ['in_outside', 'in_in_place', 'in_inside'])
    expect(await restored.value(`select count(*) from ${table}`), table).toBe('5000');
  await restored.query('commit prepared $$undecided$$');
  expect(await restored.value('select count(*) from in_outside')).toBe('5001');
});
