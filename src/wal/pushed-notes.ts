/**
 * Our own notes of segments that were archived before PostgreSQL asked for them, in `pg_wal/.wal-e/pushed/`. A note
 * holds for one file in one archive: it repeats the file's size, modification time and inode, and the storage prefix.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OWN_FOLDER } from '../program.ts';
import { notesIn } from './notes-folder.ts';
import type { WalFile } from './wal-file.ts';

const FOLDER = join(OWN_FOLDER, 'pushed');

/** Whether this very file was archived in this very archive. A note that cannot be read is none. */
export function isNoted(file: WalFile, archive: string): boolean {
  try {
    return readFileSync(notePath(file), 'utf8') === noteText(file, archive);
  } catch {
    return false;
  }
}

/** Needs no sync and no temporary name: a note that was torn by a crash equals no expected text. */
export function writeNote(file: WalFile, archive: string): void {
  mkdirSync(join(dirname(file.path), FOLDER), { recursive: true, mode: 0o700 });
  writeFileSync(notePath(file), noteText(file, archive), { mode: 0o600 });
}

/** Removes the notes of segments that PostgreSQL no longer asks for: they are archived by its own books, or recycled. */
export function sweepNotes(walDirectory: string, ready: readonly string[]): void {
  const folder = join(walDirectory, FOLDER);
  const wanted = new Set(ready);
  for (const name of notesIn(folder)) if (!wanted.has(name)) remove(join(folder, name));
}

function notePath(file: WalFile): string {
  return join(dirname(file.path), FOLDER, file.name);
}

/** One line: which state of which file, and which archive. */
export function noteText({ name, size, mtimeNs, inode }: WalFile, archive: string): string {
  return `${name} ${size} ${mtimeNs} ${inode} ${JSON.stringify(archive)}\n`;
}

/** What stays does no harm: the note of another file than the one that is asked for equals no expected text. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}
