import { describe, expect, it } from 'vitest';
import { deleteNoteKey } from '../../src/archive/layout.ts';
import { findNotes, writeNote } from '../../src/deletion/note.ts';
import { StoreError } from '../../src/errors.ts';
import { MemoryStore } from '../harness/memory-store.ts';

const call = { signal: new AbortController().signal };
const NOTE = { backups: ['a', 'b'], systems: ['7'] };

describe('a note', () => {
  it('tells the backups that were to go, since when, and the systems that were there', async () => {
    const store = new MemoryStore();
    const key = await writeNote(store, NOTE, call);
    const { modified } = store.objects.get(key) ?? {};
    const found = await findNotes(store, call);
    expect(found.notes).toEqual([{ key, backups: NOTE.backups }]);
    expect([...found.backups]).toEqual(NOTE.backups.map((name) => [name, modified]));
    expect([...found.systems]).toEqual(NOTE.systems);
  });

  it.each([
    ['is no JSON', 'not {'],
    ['is a list', '[]'],
    ['lacks a field', '{"backups": []}'],
    ['has a field of another kind', '{"backups": "a", "systems": []}'],
  ])("that %s is nobody's: it says nothing and is left alone", async (_title, text) => {
    const store = new MemoryStore();
    store.set(deleteNoteKey('1'), new Date(0), { bytes: Buffer.from(text) });
    await writeNote(store, NOTE, call);
    const found = await findNotes(store, call);
    expect([found.notes.length, found.backups.size, found.systems.size]).toEqual([1, 2, 1]);
    expect(store.objects.size).toBe(2);
  });

  it('that another run takes away meanwhile says nothing', async () => {
    const store = new MemoryStore();
    await writeNote(store, NOTE, call);
    store.get = async () => undefined;
    expect((await findNotes(store, call)).notes).toEqual([]);
  });

  it.each(['at once', 'in the middle'])(
    'that the store refuses %s is a failure: it might matter',
    async (when) => {
      const store = new MemoryStore();
      const key = await writeNote(store, NOTE, call);
      const refused = new StoreError('access denied', { transient: false });
      store.get = async () => {
        if (when === 'at once') throw refused;
        const body = (async function* () {
          yield Buffer.from('{');
          throw refused;
        })();
        return { key, size: 9, modified: new Date(0), body };
      };
      await expect(findNotes(store, call)).rejects.toBe(refused);
    },
  );
});
