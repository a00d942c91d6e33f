import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EarlySync } from '../src/early-sync.ts';
import { createScratch } from './harness/scratch.ts';

/** Calls of the file system that are under way in this process. */
const calls = () => process.getActiveResourcesInfo().filter((kind) => kind === 'FSReqCallback').length;

/** A disk of which nothing is known. */
const unused = () => ({ isBusy: false, holdsUpWrites: false });

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what is written is whole when it is finished, whatever syncs went on', async () => {
  const path = join(createScratch(), 'file');
  const descriptor = openSync(path, 'w');
  const sync = new EarlySync(descriptor, 1000, unused());
  const expected = [];
  for (let index = 0; index < 100; index += 1) {
    const bytes = Buffer.alloc(700, index);
    writeSync(descriptor, bytes);
    sync.wrote(bytes.length);
    expected.push(bytes);
    if (index % 3 === 0) await turn();
  }
  await sync.finish();
  closeSync(descriptor);
  expect(readFileSync(path).equals(Buffer.concat(expected))).toBe(true);
});

// Linux has no sync for this device: EINVAL. Which call it was tells whether a sync had begun before the end.
test.each([
  ['less than is worth a sync', [999], 'fsync'],
  ['enough for one', [999, 1], 'fdatasync'],
  ['nothing', [], 'fsync'],
])('of %s the failure of the first sync is told at the end', async (_, writes, syscall) => {
  const descriptor = openSync('/dev/null', 'w');
  const sync = new EarlySync(descriptor, 1000, unused());
  for (const bytes of writes) sync.wrote(bytes);
  await expect(sync.finish()).rejects.toMatchObject({ code: 'EINVAL', syscall });
  closeSync(descriptor);
});

test('a large file is synced by fourths, not by the least', async () => {
  const descriptor = openSync(join(createScratch(), 'file'), 'w');
  const sync = new EarlySync(descriptor, 1000, unused());
  const begun: number[] = [];
  for (let total = 100; total <= 100_000; total += 100) {
    const others = calls();
    sync.wrote(100);
    if (calls() > others) begun.push(total);
    await sync.settle();
  }
  await sync.finish();
  closeSync(descriptor);
  expect(begun.slice(0, 4)).toEqual([1000, 2000, 3000, 4000]);
  expect(begun.length).toBeLessThan(20);
  for (const [index, total] of begun.entries())
    if (index > 4) expect(total - (begun[index - 1] ?? 0)).toBeLessThanOrEqual(total / 4 + 100);
});

test('nothing goes on any more when it has settled', async () => {
  const descriptor = openSync(join(createScratch(), 'file'), 'w');
  const sync = new EarlySync(descriptor, 1, unused());
  writeSync(descriptor, Buffer.alloc(1 << 20));
  sync.wrote(1 << 20);
  await sync.settle();
  closeSync(descriptor);
  await turn();
});

test.each([
  ['another file is being synced early, which would take the threads of all others', { isBusy: true }],
  ['syncs were seen to hold up the writes to their file', { holdsUpWrites: true }],
])('there is only the sync at the end while %s', async (_, seen) => {
  const disk = { ...unused(), ...seen };
  const descriptor = openSync('/dev/null', 'w');
  const sync = new EarlySync(descriptor, 1000, disk);
  const others = calls();
  for (let written = 0; written < 10; written += 1) sync.wrote(1000);
  expect(calls()).toBe(others);
  await expect(sync.finish()).rejects.toMatchObject({ syscall: 'fsync' });
  closeSync(descriptor);
  expect(disk).toEqual({ ...unused(), ...seen });
});

test('one file after the other is synced early', async () => {
  const disk = unused();
  const descriptors = [openSync('/dev/null', 'w'), openSync('/dev/null', 'w')];
  for (const descriptor of descriptors) {
    const sync = new EarlySync(descriptor, 1000, disk);
    sync.wrote(1000);
    expect(disk.isBusy).toBe(true);
    await expect(sync.finish()).rejects.toMatchObject({ syscall: 'fdatasync' });
    expect(disk.isBusy).toBe(false);
    closeSync(descriptor);
  }
});
