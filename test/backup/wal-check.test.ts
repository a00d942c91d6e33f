import { describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { missingSegments, neededSegments, type WalWait, waitForWal } from '../../src/backup/wal-check.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';
import { testContext } from '../harness/context.ts';
import { createScratch } from '../harness/scratch.ts';

const MB = 1024 * 1024;
const first = '0000000100000000000000FE';
const signal = new AbortController().signal;

async function archive(store: Store, ...names: string[]): Promise<void> {
  for (const name of names) {
    await store.put(walKey(name), [], { createOnly: false, contentType: 'application/octet-stream', signal });
  }
}

function wait(store: Store, rest: Partial<WalWait> = {}) {
  const { log, records } = testContext({ store });
  return { records, wait: { store, log, limitMs: 200, trouble: async () => undefined, signal, ...rest } };
}

describe('the WAL that a backup needs', () => {
  it('is every segment from the first to the last, whatever their size', () => {
    const last = '000000010000000100000001';
    expect(neededSegments({ first, last, segmentBytes: 16 * MB })).toEqual([
      first,
      '0000000100000000000000FF',
      '000000010000000100000000',
      last,
    ]);
    expect(neededSegments({ first, last: first, segmentBytes: MB })).toEqual([first]);
    expect(neededSegments({ first, last, segmentBytes: MB })).toHaveLength(4096 - 0xfe + 2);
  });

  it('is missing where the archive has no object of that very name', async () => {
    const store = createFileStore(createScratch());
    await archive(
      store,
      first,
      '0000000100000000000000FF.00000028.backup',
      '000000010000000100000000.partial',
    );
    const names = [first, '0000000100000000000000FF', '000000010000000100000000'];
    expect(await missingSegments(store, names, signal)).toEqual(names.slice(1));
  });

  it('is waited for, and what is waited for is said', async () => {
    const store = createFileStore(createScratch());
    await archive(store, first);
    const last = '0000000100000000000000FF';
    const { wait: options, records } = wait(store, {
      limitMs: 60_000,
      trouble: async () => {
        await archive(store, last);
        return 'The archiver is asleep.';
      },
    });
    await waitForWal({ first, last, segmentBytes: 16 * MB }, options);
    expect(records).toMatchObject([
      {
        message: 'waiting for WAL to be archived',
        detail: `${last} is not in the archive yet, of 2 segments that the backup needs.`,
        hint: 'The archiver is asleep.',
      },
      {
        message: 'the archive has all WAL that the backup needs',
        detail: `2 segments: ${first} to ${last}.`,
      },
    ]);
  });

  it('is given up when nothing arrives within the limit, with what the server says of its archiver', async () => {
    const { wait: options } = wait(createFileStore(createScratch()), {
      trouble: async () => 'It failed at noon.',
    });
    await expect(waitForWal({ first, last: first, segmentBytes: MB }, options)).rejects.toMatchObject({
      message: 'the WAL that the backup needs did not reach the archive',
      detail: expect.stringMatching(/^0000000100000000000000FE is not .* It failed at noon\.$/),
    });
  });

  it('is not waited for any longer when the command is stopped', async () => {
    const controller = new AbortController();
    const trouble = async () => void controller.abort(new Error('stopped'));
    const { wait: options } = wait(createFileStore(createScratch()), {
      limitMs: 60_000,
      trouble: async () => trouble().then(() => undefined),
      signal: controller.signal,
    });
    await expect(waitForWal({ first, last: first, segmentBytes: MB }, options)).rejects.toThrow('stopped');
  });
});
