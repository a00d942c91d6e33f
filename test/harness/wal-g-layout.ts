/**
 * Turns a backup of ours, as it lies in a file archive, into one with the layout of WAL-G's tars (storage_tar_ball.go:
 * `part_%0.3d` counted from 1; bundle.go: label and control file in tars of their own), by GNU tar, and with no more in
 * its sentinel than the original writes. In lzop, which WAL-G itself reads but never writes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { readSentinel, unpackBackup } from './archived-cluster.ts';
import { compress } from './lzop.ts';

const LABELS = ['backup_label', 'tablespace_map'];
const CONTROL = 'global/pg_control';

export async function layOutAsWalG(archive: string, name: string): Promise<readonly string[]> {
  const data = await unpackBackup(archive, name);
  const sentinel = await readSentinel(archive, name);
  const folder = join(archive, 'basebackups_005', name, 'tar_partitions');
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  const store = (file: string, members: readonly string[], ...options: readonly string[]) => {
    const args = ['-cf', '-', '-C', data, ...options, ...members];
    const tar = execFileSync('tar', args, { maxBuffer: 2 ** 30 });
    writeFileSync(join(folder, `${file}.tar.lzo`), compress(tar));
  };
  const apart = [...LABELS, CONTROL].map((path) => `--exclude=${path}`);
  const rest = readdirSync(data).filter((entry) => entry !== 'base' && !LABELS.includes(entry));
  store('part_001', ['--no-recursion', '.', '--recursion', 'base'], ...apart);
  store('part_002', rest, ...apart);
  store(
    'backup_label',
    LABELS.filter((label) => readdirSync(data).includes(label)),
  );
  store('pg_control', [CONTROL]);
  const path = join(archive, 'basebackups_005', `${name}_backup_stop_sentinel.json`);
  writeFileSync(path, writeSentinel({ ...sentinel, own: undefined }));
  return readdirSync(folder).sort();
}
