/** A base backup as an operator makes it without the program: a copy of the running server's files, and its label. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Cluster, openCluster } from '../harness/postgres.ts';
import { createScratch } from '../harness/scratch.ts';
import { stageProgram } from '../harness/staging.ts';
import { Member } from './member.ts';

/** Of the running server only. */
const NOT_COPIED = /^(postmaster\.(pid|opts)|recovery\.(conf|done|signal)|standby\.signal)$/;

/** Returns the folder with `data` in it, and its tablespaces. */
export async function copyByHand(cluster: Cluster): Promise<string> {
  const folder = createScratch();
  const session = new pg.Client({ host: cluster.socketDirectory, user: cluster.user, database: 'postgres' });
  await session.connect();
  const isNew = cluster.version >= 15;
  try {
    await session.query(
      isNew ? "select pg_backup_start('by hand', true)" : "select pg_start_backup('by hand', true, false)",
    );
    copyFiles(cluster.dataDirectory, folder);
    const stop = isNew ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
    const { rows } = await session.query<{ labelfile: string }>(`select labelfile from ${stop}`);
    writeFileSync(join(folder, 'data', 'backup_label'), rows[0]?.labelfile ?? '');
  } finally {
    await session.end();
  }
  return folder;
}

/** Paused at the target, when it was started and has recovered. */
export async function openByHand(
  folder: string,
  target: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
  version: number,
): Promise<Member> {
  const directory = join(folder, 'data');
  const recovery = { restore_command: `${stageProgram()} --terse wal-fetch %f %p`, ...target };
  // It may name the target of an earlier restore.
  writeFileSync(join(directory, 'postgresql.auto.conf'), '');
  const lines = Object.entries(recovery).map(([name, value]) => `${name} = '${value}'\n`);
  if (version < 12) writeFileSync(join(directory, 'recovery.conf'), lines.join(''));
  else writeFileSync(join(directory, 'recovery.signal'), '');
  const all = { ...settings, ...(version >= 12 && recovery) };
  return new Member(await openCluster(directory, { settings: all }), folder);
}

function copyFiles(source: string, folder: string): void {
  const target = join(folder, 'data');
  copyMoving(source, target);
  for (const name of readdirSync(target)) if (NOT_COPIED.test(name)) rmSync(join(target, name));
  for (const name of readdirSync(join(target, 'pg_wal')))
    rmSync(join(target, 'pg_wal', name), { recursive: true });
  for (const oid of readdirSync(join(target, 'pg_tblspc'))) {
    const link = join(target, 'pg_tblspc', oid);
    const place = join(folder, `space-${oid}`);
    copyMoving(readlinkSync(link), place);
    unlinkSync(link);
    symlinkSync(place, link);
  }
}

/** Files that go while they are copied are none that the copy needs. */
function copyMoving(source: string, target: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', source, target], { encoding: 'utf8' });
  const others = stderr.split('\n').filter((line) => line !== '' && !line.includes('No such file'));
  if (status !== 0 && others.length > 0) throw new Error(`cp: ${others.join('\n')}`);
  execFileSync('chmod', ['700', target]);
}
