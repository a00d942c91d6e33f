/**
 * What a run of `delete` is about to remove, noted in the store before the first sentinel goes: parts whose sentinel is
 * gone look like a backup that is being made, and only the note lets the next run finish what was interrupted. It also
 * keeps in mind which systems the archive held, for the WAL that was not reached.
 */
import { randomBytes } from 'node:crypto';
import { collect } from '../archive/bounded.ts';
import { JsonFields } from '../archive/json-fields.ts';
import { DELETE_NOTE_PREFIX, deleteNoteKey, type Key } from '../archive/layout.ts';
import { DataError } from '../errors.ts';
import type { Call, ObjectInfo, Store } from '../store/store.ts';

export interface DeleteNote {
  readonly backups: readonly string[];
  readonly systems: readonly string[];
}

/** Notes of runs that were interrupted, or that are running now. */
export interface FoundNotes {
  readonly notes: readonly { readonly key: Key; readonly backups: readonly string[] }[];
  /** Name -> when it was noted. */
  readonly backups: ReadonlyMap<string, Date>;
  readonly systems: ReadonlySet<string>;
}

const MAX_NOTE_BYTES = 16 * 1024 * 1024;
const MAX_NAMES = 1_000_000;

export async function writeNote(store: Store, note: DeleteNote, call: Call): Promise<Key> {
  const key = deleteNoteKey(randomBytes(8).toString('hex'));
  const body = [Buffer.from(JSON.stringify(note))];
  await store.put(key, body, { createOnly: false, contentType: 'application/json', ...call });
  return key;
}

/** A note that cannot be understood is nobody's and is left alone. */
export async function findNotes(store: Store, call: Call): Promise<FoundNotes> {
  const notes: { key: Key; backups: readonly string[] }[] = [];
  const backups = new Map<string, Date>();
  const systems = new Set<string>();
  for await (const page of store.list(DELETE_NOTE_PREFIX, call))
    for (const object of page) {
      const note = await readNote(store, object, call);
      if (note === undefined) continue;
      notes.push({ key: object.key, backups: note.backups });
      for (const name of note.backups) backups.set(name, object.modified);
      for (const system of note.systems) systems.add(system);
    }
  return { notes, backups, systems };
}

async function readNote(store: Store, object: ObjectInfo, call: Call): Promise<DeleteNote | undefined> {
  const found = await store.get(object.key, call);
  if (found === undefined) return undefined;
  try {
    const bytes = await collect(found.body, MAX_NOTE_BYTES, object.key);
    const fields = new JsonFields(JSON.parse(bytes.toString('utf8')), 'note');
    return { backups: texts(fields, 'backups'), systems: texts(fields, 'systems') };
  } catch (error) {
    if (error instanceof DataError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function texts(fields: JsonFields, name: string): string[] {
  return fields.list(name, MAX_NAMES).filter((item) => typeof item === 'string');
}
