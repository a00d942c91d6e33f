import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SyncQueue } from '../../src/tar/sync-queue.ts';
import { createScratch } from '../harness/scratch.ts';

let scratch: string;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function opened(name: string): number {
  return openSync(join(scratch, name), 'w');
}

describe('files on their way to the disk', () => {
  it('are closed when they are durable, and never more open than a process may have', async () => {
    const queue = new SyncQueue();
    let throttled = 0;
    for (let number = 0; number < 500; number += 1) {
      const descriptor = opened(String(number));
      expect(descriptor).toBeLessThan(200);
      queue.add(descriptor);
      const full = queue.throttle();
      if (full === undefined) continue;
      throttled += 1;
      await full;
    }
    await queue.drain();
    expect(throttled).toBeGreaterThan(5);
    const next = opened('next');
    expect(next).toBeLessThan(100);
    closeSync(next);
  });

  it('fail the restore when one cannot be synced', async () => {
    const queue = new SyncQueue();
    for (let number = 0; number < 10; number += 1) queue.add(opened(String(number)));
    // The system syncs no device of this kind.
    queue.add(openSync('/dev/null', 'w'));
    await expect(queue.drain()).rejects.toMatchObject({ syscall: 'fsync' });
    await expect(queue.throttle()).rejects.toMatchObject({ syscall: 'fsync' });
  });
});
