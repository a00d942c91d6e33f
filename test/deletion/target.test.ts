import { describe, expect, it } from 'vitest';
import { sentinelKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { surveyBackups } from '../../src/archive/survey.ts';
import { findTarget } from '../../src/deletion/target.ts';
import { backupOf, segmentAt } from '../archive/backups.ts';
import { MemoryStore } from '../harness/memory-store.ts';

const call = { signal: new AbortController().signal };

async function target(text: string, starts: readonly number[]) {
  const store = new MemoryStore();
  for (const start of starts) {
    const { name, reading } = backupOf({ start });
    if (reading.kind !== 'read') throw new Error('no sentinel');
    store.set(sentinelKey(name), new Date(0), { bytes: Buffer.from(writeSentinel(reading.sentinel)) });
  }
  const { backups } = await surveyBackups(store, call);
  return findTarget(text, backups, store, call);
}

describe('the name after before', () => {
  const name = `base_${segmentAt(1, 10)}_00000040`;

  it('may be the beginning of one name, and is refused when it is that of two', async () => {
    const start = name.slice(0, 28);
    expect(await target(start, [10, 30])).toEqual({ kind: 'before-backup', name });
    await expect(target(start, [10, 11])).rejects.toThrow('2 backups match');
  });

  it.each(['', 'b', 'base', segmentAt(1, 10).slice(0, 20)])('"%s" is no beginning of one', async (text) => {
    await expect(target(text, [10])).rejects.toThrow('no backup or WAL segment matches');
  });
});
