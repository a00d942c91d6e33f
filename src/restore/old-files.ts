/** Files of another time among the restored ones (--force): the restore removes nothing, and PostgreSQL knows no difference. */
import { lstat } from 'node:fs/promises';
import { byteString, bytesOf } from '../byte-string.ts';
import type { Log } from '../log.ts';
import type { Call } from '../store/store.ts';
import { shown } from '../tar/member-error.ts';
import { entriesIn } from './folder-entries.ts';
import { ifThere } from './if-there.ts';
import type { Marker } from './marker.ts';
import type { Plan } from './plan.ts';

/** Folders in which the server finds files by their names. */
const SERVERS_OWN = /^(base|global|tablespaces|pg_[^/]+)$/;
/** WAL is told of before the restore (old-wal.ts); nobody reads old logs as data. */
const NOT_LOOKED_AT = /^(pg_wal|pg_xlog|pg_log)$/;
const NAMED = 5;

interface Found {
  readonly overMs: number;
  /** All files. */
  files: number;
  /** Those in the server's folders that are older. */
  old: number;
  /** Some of the latter. */
  readonly names: string[];
}

/** Tells of them when there are any: `overMs` of the marker is when the restore began. */
export async function warnOfOldFiles(
  { target, tablespaces }: Plan,
  { overMs, parts }: Marker,
  { log, signal }: Call & { readonly log: Log },
): Promise<void> {
  if (overMs === undefined) return;
  const found: Found = { overMs, files: 0, old: 0, names: [] };
  await look(byteString(target.directory), '', found, signal);
  for (const { oid, location, inside } of tablespaces)
    if (!inside) await look(byteString(location), `pg_tblspc/${oid}`, found, signal);
  const restored = [...parts.values()].reduce((sum, { files }) => sum + files, 0);
  // The marker is no member. Clocks of file systems may differ; numbers do not.
  if (found.old === 0 || found.files - 1 <= restored) return;
  log.warning('files of another time lie among the restored ones', {
    detail: `${found.old} files in folders of the server are older than this restore: ${found.names.join(', ')}${found.old > NAMED ? ', …' : ''}.`,
    hint: 'PostgreSQL knows files by their names alone, so tables may show rows of another time without an error. Unless you know that these do no harm, restore into an empty directory.',
  });
}

/** `root` is a byte string, `inside` the folder's name in the data directory. Links are not followed. */
async function look(root: string, inside: string, found: Found, signal: AbortSignal): Promise<void> {
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await entriesIn(`${root}${folder}`)) {
      signal.throwIfAborted();
      const base = entry.name.toString('latin1');
      const name = `${folder}/${base}`;
      if (entry.isDirectory() && !(inside === '' && NOT_LOOKED_AT.test(base))) folders.push(name);
      if (entry.isFile()) await judge(`${root}${name}`, `${inside}${name}`.replace(/^\//, ''), found);
    }
  }
}

async function judge(path: string, name: string, found: Found): Promise<void> {
  found.files += 1;
  const [folder = '', ...rest] = name.split('/');
  if (rest.length === 0 || !SERVERS_OWN.test(folder)) return;
  const there = await ifThere(() => lstat(bytesOf(path)));
  if (there === undefined || there.ctimeMs >= found.overMs) return;
  found.old += 1;
  if (found.names.length < NAMED) found.names.push(shown(name));
}
