import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { waitingSegments } from '../../src/check/server-probe.ts';
import { createScratch } from '../harness/scratch.ts';

test('files that wait are counted, whatever their kind', () => {
  const walDirectory = createScratch();
  mkdirSync(join(walDirectory, 'archive_status'));
  for (const name of ['000000010000000000000001.ready', '00000002.history.ready', '00000003.history.done'])
    writeFileSync(join(walDirectory, 'archive_status', name), '');
  expect(waitingSegments(walDirectory)).toMatchObject({
    state: 'ok',
    message: '2 files wait to be archived',
  });
});

test('a folder that cannot be read is no folder in which nothing waits', () => {
  const walDirectory = createScratch();
  writeFileSync(join(walDirectory, 'archive_status'), '');
  expect(waitingSegments(walDirectory)).toMatchObject({
    state: 'warning',
    message: expect.stringMatching(/^cannot be counted: ENOTDIR/),
  });
});
