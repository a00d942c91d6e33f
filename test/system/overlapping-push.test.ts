/**
 * Calls of wal-push that overlap: an archiver that was killed leaves its call running, and the next archiver begins
 * with the same file. And a promotion: segments of both timelines, a partial one and a history wait at once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { followingSegments } from '../../src/postgres/segment.ts';
import { type Archive, createArchive } from '../harness/archiving.ts';
import { runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const MB = 1024 * 1024;
const OLD = '0000000100000000000000FD';
const OLDER = [OLD, ...followingSegments(OLD, 5, MB)];
const LAST = '000000010000000000000103';
const NEW = '000000020000000000000103';
const NEWER = [NEW, ...followingSegments(NEW, 5, MB)];
const SEGMENTS = [...OLDER, ...NEWER];
const OTHERS = [`${LAST}.partial`, '00000002.history'];

let pgWal: string;
let archive: Archive;

beforeEach(() => {
  archive = createArchive();
  pgWal = join(createScratch(), 'pg_wal');
  for (const [index, name] of SEGMENTS.entries()) addWaiting(pgWal, name, segmentBytes(name, MB, index));
  addWaiting(pgWal, `${LAST}.partial`, segmentBytes(LAST, MB, 99));
  addWaiting(pgWal, '00000002.history', Buffer.from('1\t0/10300000\tno recovery target specified\n'));
});

const push = (name: string, ...options: string[]) =>
  runProgram([`--file-prefix=${archive.prefix}`, 'wal-push', ...options, join(pgWal, name)]);
const statusOf = (suffix: string) =>
  readdirSync(join(pgWal, 'archive_status'))
    .filter((entry) => entry.endsWith(suffix))
    .map((entry) => entry.slice(0, -suffix.length));

async function everyArchivedOneIsRight(): Promise<string[]> {
  const names = await archive.names();
  for (const name of names) {
    expect((await archive.content(name)).equals(readFileSync(join(pgWal, name)))).toBe(true);
  }
  return names;
}

describe('wal-push', () => {
  it.each(['--mark-done', '--no-mark-done'])(
    'overlapping itself, %s: each call succeeds, each file is archived once',
    async (mark) => {
      const named = ['00000002.history', OLD, OLD, OLD, NEW];
      const results = await Promise.all(named.map((name) => push(name, mark)));
      for (const { status, stderr } of results) expect(status, stderr).toBe(0);
      const archived = await everyArchivedOneIsRight();
      expect(archived).toEqual(expect.arrayContaining([...SEGMENTS, '00000002.history']));
      expect(readdirSync(join(archive.directory, 'wal_005')).filter((name) => name.startsWith('.'))).toEqual(
        [],
      );
      // What PostgreSQL must still ask for: all that it did not learn of.
      expect(statusOf('.ready')).toEqual(expect.arrayContaining(OTHERS));
      for (const done of statusOf('.done')) expect(archived).toContain(done);
      if (mark === '--no-mark-done') expect(statusOf('.done')).toEqual([]);
    },
  );

  it('takes segments of all timelines along, and leaves the partial one and the history to PostgreSQL', async () => {
    expect((await push(OLD, '--mark-done')).status).toBe(0);
    expect((await everyArchivedOneIsRight()).sort()).toEqual([...SEGMENTS].sort());
    expect(statusOf('.ready').sort()).toEqual([...OTHERS, OLD].sort());
    for (const name of OTHERS) expect((await push(name, '--mark-done')).status).toBe(0);
    expect((await archive.names()).sort()).toEqual([...SEGMENTS, ...OTHERS].sort());
  });

  it('of two servers into one prefix: the first one wins each name, the other is refused and keeps its file', async () => {
    expect((await push(OLD, '-p', '1')).status).toBe(0);
    const first = await archive.content(OLD);
    addWaiting(pgWal, OLD, segmentBytes(OLD, MB, 77, { systemIdentifier: 7_000_000_000_000_000_009n }));
    const { status, stderr } = await push(OLD, '-p', '1');
    expect(status).toBe(1);
    expect(stderr).toContain('MSG: the archive holds another content under this name');
    expect((await archive.content(OLD)).equals(first)).toBe(true);
  });
});
