/**
 * Checksums of the encrypted objects that this server was about to store, in `pg_wal/.wal-e/encrypted/`: a server that
 * holds only the public key cannot read what is in the archive, but it can recognise what it put there itself. A file for
 * each attempt, `<WAL file>.<beginning of the checksum>`: calls that overlap must not write over each other's.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Log } from '../log.ts';
import { isReady } from '../postgres/archive-status.ts';
import { OWN_FOLDER } from '../program.ts';
import { syncFolders } from '../store/file-folders.ts';
import type { FoundObject } from '../store/store.ts';
import { notesFolder, notesIn } from './notes-folder.ts';
import { noteText } from './pushed-notes.ts';
import type { WalFile } from './wal-file.ts';

/** Attempts that are remembered. */
const MOST_CHECKSUMS = 50;
/** Longer than what a WAL file's name may end in (`.00000028.backup`, `.partial`). */
const ATTEMPT_DIGITS = 16;
const ATTEMPT = /\.[0-9a-f]{16}$/;

/**
 * Passes the object through; its checksum is noted, durably, before its last chunk goes on, so before a store can have it all.
 * Where it cannot be noted, as on a full disk, which only archiving makes room on, archiving goes on.
 */
export async function* noteEncrypted(
  source: AsyncIterable<Uint8Array>,
  file: WalFile,
  { archive, log }: { readonly archive: string; readonly log: Log },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  try {
    await addNote(file, archive, hash.digest('hex'));
  } catch (error) {
    log.warning('the checksum of an encrypted object could not be noted', {
      detail: String(error),
      hint: 'If this attempt is interrupted, the next one needs the secret key to tell that the object is its own.',
    });
  }
  if (held !== undefined) yield held;
}

/** Whether this server made the object from this very file. */
export async function isOwnObject(
  file: WalFile,
  archive: string,
  get: () => Promise<FoundObject>,
): Promise<boolean> {
  const known = checksums(file, archive);
  if (known.length === 0) return false;
  const hash = createHash('sha256');
  for await (const chunk of (await get()).body) hash.update(chunk);
  return known.includes(hash.digest('hex'));
}

async function addNote(file: WalFile, archive: string, checksum: string): Promise<void> {
  const walDirectory = dirname(file.path);
  if (notesFolder(walDirectory) === undefined) return;
  const folder = folderOf(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = readdirSync(folder);
  for (const name of names) {
    if (!isReady(walDirectory, name.replace(ATTEMPT, ''))) rmSync(join(folder, name), { force: true });
  }
  const own = names.filter((name) => name.replace(ATTEMPT, '') === file.name);
  for (const name of own.length < MOST_CHECKSUMS ? [] : oldestOf(folder, own)) {
    rmSync(join(folder, name), { force: true });
  }
  const path = join(folder, `${file.name}.${checksum.slice(0, ATTEMPT_DIGITS)}`);
  writeFileSync(path, `${noteText(file, archive)}${checksum}\n`, { mode: 0o600, flush: true });
  await syncFolders(resolve(folder));
}

/** All but those that were written last. */
function oldestOf(folder: string, names: readonly string[]): string[] {
  const dated = names.map((name) => ({
    name,
    mtimeMs: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  }));
  return dated
    .sort((a, b) => b.mtimeMs - a.mtimeMs)
    .slice(MOST_CHECKSUMS - 1)
    .map(({ name }) => name);
}

function checksums(file: WalFile, archive: string): string[] {
  const folder = folderOf(file);
  const head = noteText(file, archive);
  return notesIn(folder)
    .filter((name) => name.replace(ATTEMPT, '') === file.name)
    .map((name) => textOf(join(folder, name)))
    .flatMap((text) => (text.startsWith(head) ? text.slice(head.length).split('\n').filter(Boolean) : []));
}

function folderOf(file: WalFile): string {
  return join(dirname(file.path), OWN_FOLDER, 'encrypted');
}

/** A note that cannot be read is none. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
